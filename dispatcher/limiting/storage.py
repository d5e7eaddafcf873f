"""The shared table as a storage of the `limits` library, under the scheme ``shared``: for Flask-Limiter and others.

    import dispatcher.limiting.storage  # registers the scheme

    app.config["RATELIMIT_STORAGE_URI"] = "shared://"

- ``shared://``: a file in the runtime folder of this user and this working directory.
- ``shared:///srv/app/limits?size=64MB``: that file, and how large it is (16 MiB where nothing is said). Its folder must
  be ours, and writable by nobody else; it is made where it is missing.

All processes of one user that name the same file count together; they must name the same size. `limits` calls for
whole seconds of the wall clock; the counting inside goes by the monotonic clock, so setting the clock changes nothing.
What differs from other storages is in docs/limits-storage.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from limits.errors import ConfigurationError
from limits.storage import MovingWindowSupport, SlidingWindowCounterSupport, Storage
from pydantic_core import PydanticCustomError

from dispatcher.fields import read_size
from dispatcher.limiting.places import Place, Places, charge, expires, forget, look
from dispatcher.limiting.windows import FixedWindow, SlidingWindowCounter, Window, moving_window
from dispatcher.runtime import make_folder, site_folder
from dispatcher.shm.cells import LONGEST_SECONDS, MOST, Cells
from dispatcher.shm.table import DAMAGE, DEFAULT_SIZE, Stats, Table, open_table

_SECOND: Final = 10**9


class SharedStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """Counters in a file that all processes of a host share; its `size` may be given here or in the URI."""

    STORAGE_SCHEME = ["shared"]

    def __init__(
        self, uri: str | None = None, wrap_exceptions: bool = False, *, size: float | str | bool | None = None
    ) -> None:
        super().__init__(uri, wrap_exceptions)
        path, size_in_uri = _read(uri or "shared://")
        make_folder(path.parent)
        self._look_at = 0
        self._counters = _Counters(open_table(path, _bytes(size_in_uri if size is None else size)))

    @property
    def base_exceptions(self) -> type[Exception]:
        return OSError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count in a fixed window, which has no limit of its own; what it has counted, with `amount`."""
        return self._count(("fixed", key, MOST, expiry), amount)

    def get(self, key: str) -> int:
        """What the fixed window has counted."""
        with self._inside() as (counters, now):
            return look(counters.table, counters.places["fixed", key, MOST, 1], now)

    def get_expiry(self, key: str) -> float:
        """When the fixed window ends, in seconds of the wall clock; now, when there is none."""
        with self._inside() as (counters, now):
            place = counters.places["fixed", key, MOST, 1]
            left = expires(counters.table, place) - now if look(counters.table, place, now) else 0
        return time.time() + left / _SECOND

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` in the moving window, if it fits."""
        return self._count(("moving", key, limit, expiry), amount) <= limit

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The wall clock time `expiry` seconds before the next hits are given back, and how many count now."""
        with self._inside() as (counters, now):
            place = counters.places["moving", key, limit, expiry]
            used = look(counters.table, place, now)
            back = place.window.wait(place.at, now, limit - used + 1) if used else expiry * _SECOND
        return time.time() + back / _SECOND - expiry, used

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` in the running window, if the weighted count allows."""
        return self._count(("sliding", key, limit, expiry), amount) <= limit

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Hits of the previous window and the seconds it still weighs, hits of the running one and its seconds."""
        with self._inside() as (counters, now):
            place = counters.places["sliding", key, MOST, expiry]
            look(counters.table, place, now)
            window = SlidingWindowCounter(counters.table.cells, MOST, min(expiry, LONGEST_SECONDS) * _SECOND)
            previous, current, passed = window.counts(place.at, now) if place.at else (0, 0, 0)
        left = expiry - passed / _SECOND
        return previous, left if previous else 0.0, current, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget the key's sliding window."""
        with self._inside() as (counters, _):
            forget(counters.table, counters.places["sliding", key, MOST, expiry])

    def clear(self, key: str) -> None:
        """Forget the key's fixed and moving windows."""
        with self._inside() as (counters, _):
            for kind in ("fixed", "moving"):
                forget(counters.table, counters.places[kind, key, MOST, 1])

    def reset(self) -> int:
        """Forget everything in the file, whoever counted it; how many counters there were."""
        with self._inside() as (counters, now):
            return counters.table.reset(now)

    def check(self) -> bool:
        """Whether the table can be reached: True, or OSError."""
        with self._inside():
            return True

    def stats(self) -> Stats:
        """How full the table is, and whether it is too small; takes some milliseconds."""
        return self._counters.table.stats(_now())

    def _count(self, name: _Name, amount: int, *, again: bool = True) -> int:
        """What is used with `amount`, counted where it fits; `again` in a new table if this one is damaged."""
        if amount < 0:
            raise ValueError(f"an amount is at least 0, not {amount}")
        counters = self._counters
        place, table = counters.places[name], counters.table
        try:
            if table.acquire():
                table.note_death()
            now = int(time.monotonic() * _SECOND)
            used = look(table, place, now)
            if used + amount > place.window.capacity:
                if place.at:
                    table.note_denial(place.at)
            elif amount:
                charge(table, place, now, amount)
        except DAMAGE as damage:
            if not again:
                raise
            self._renew(counters, damage)
            return self._count(name, amount, again=False)
        finally:
            table.release()
        if now >= self._look_at:
            self._follow(now)
        return used + amount

    @contextmanager
    def _inside(self) -> Iterator[tuple[_Counters, int]]:
        """The same for what is not on the path of each hit."""
        counters = self._counters
        try:
            try:
                died = counters.table.acquire()
            except OSError as error:
                self._renew(counters, error)
                counters = self._counters
                died = counters.table.acquire()
            if died:
                counters.table.note_death()
            yield counters, _now()
        finally:
            counters.table.release()

    def _renew(self, counters: _Counters, damage: Exception) -> None:
        """Go on in a new table, as the old one is damaged."""
        if self._counters is counters:
            self._counters = _Counters(counters.table.renewed(damage))

    def _follow(self, now: int) -> None:
        """Once a second: go where the other processes are, if the file was replaced."""
        self._look_at = now + _SECOND
        table = self._counters.table
        table.warn()
        newer = table.follow()
        if newer is not table:
            self._counters = _Counters(newer)


_Name = tuple[str, str, int, int]  # the kind of window, the key, its limit and its seconds


class _Counters:
    """The places in one table. `limits` puts limit and seconds into the key, so that the tag need not have them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.places: Places[_Name, Place] = Places(self._find)

    def _find(self, name: _Name) -> Place:
        kind, key, limit, seconds = name
        window = _WINDOWS[kind](self.table.cells, min(limit, MOST), min(seconds, LONGEST_SECONDS) * _SECOND)
        return Place(window, self.table.tag(f"limits {kind} {key}".encode(errors="surrogatepass")))


_WINDOWS: Final[dict[str, Callable[[Cells, int, int], Window]]] = {
    "fixed": FixedWindow,
    "moving": moving_window,
    "sliding": SlidingWindowCounter,
}


def _now() -> int:
    return int(time.monotonic() * _SECOND)


def _read(uri: str) -> tuple[Path, str | None]:
    """Where the file is, and its size as the URI says it."""
    parts = urlsplit(uri)
    options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    size = options.pop("size", None)
    if parts.netloc or options or parts.path.endswith("/"):
        raise ConfigurationError(f"{uri}: expected shared:// or shared:///absolute/path, and ?size=16MB at most")
    if parts.path:
        return Path(unquote(parts.path)), size
    return site_folder(Path.cwd() / "shared-limits") / "limits", size


def _bytes(size: object) -> int:
    try:
        return DEFAULT_SIZE if size is None else read_size(size)
    except PydanticCustomError as error:
        raise ConfigurationError(f"size {size!r}: {error.message()}") from error
