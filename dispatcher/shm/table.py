"""A table of counters that all workers of a host share: fixed size, one mutex, O(1) for each key, no timer.

A key is hashed to 16 bytes with the table's secret, so nobody outside can choose keys that collide. It may live in
either of two buckets of eight cells, and a new key goes to the emptier one: so both are seldom full before the table is
three quarters full. A cell whose time is over is free; nothing has to clean up. In full buckets the least used counter
(used / limit) makes room, of equals the one that ends first: but whoever was denied is the last to be forgotten.

Everything but `tag` and `stats` is called with the mutex held (`acquire`, `release`, used as `mutex.py` says).
"""

from __future__ import annotations

import hashlib
import logging
import math
import mmap
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from dispatcher import runtime
from dispatcher.mapping import HEADER, discard, identity, open_mapping, replaced, view_mapping
from dispatcher.mutex import Mutex
from dispatcher.shm.cells import CELL, MOST, Cells

Tag = tuple[int, int]

DEFAULT_SIZE: Final = 16 * 2**20
SMALLEST: Final = 4096

# How long a holder, which needs microseconds, may be stopped (SIGSTOP, a debugger) before the others go on without it.
PATIENCE_SECONDS: Final = 2.0

# What may be raised between `acquire` and `release`: the mutex cannot be had, or some number is no possible one.
DAMAGE: Final = (OSError, ValueError, IndexError)

_LAYOUT: Final = 2  # a new number whenever a byte changes its meaning: mapped files of older versions are replaced
_SECRET: Final = HEADER + Mutex.SIZE
_SECRET_BYTES: Final = 32
_EVICTIONS: Final = (_SECRET + _SECRET_BYTES) // 8  # from here on indexes of 8-byte words
_REPAIRS: Final = _EVICTIONS + 1
_NEXT_WARNING: Final = _EVICTIONS + 2
_CELLS: Final = 256
_WAYS: Final = 8
_BUCKET: Final = CELL * _WAYS
_HEADS: Final = struct.Struct("=" + "QQQII64x" * _WAYS)
_FIELDS: Final = 5
_PAIR: Final = struct.Struct("=QQ")
_DENIED: Final = math.inf
_WARN_EVERY_NS: Final = 60 * 10**9
_LATELY_NS: Final = 3600 * 10**9

_log: Final = logging.getLogger("dispatcher.limiter")
_tables: Final[WeakValueDictionary[tuple[Path, int], Table]] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Stats:
    """How full a table is: `used` of `cells` count something now; `evictions` counters that still mattered were
    dropped for want of room, and `repairs` times a process died inside, since the table was made; `too_small` when
    some were dropped within the last hour."""

    cells: int
    used: int
    evictions: int
    repairs: int
    size: int
    too_small: bool = False


def open_table(path: Path, size: int = DEFAULT_SIZE) -> Table:
    """This process's one table at `path`, of `size` bytes; its folder must exist. OSError, ValueError."""
    table = _tables.get((path, size))
    if table is None or table.replaced() or not path.exists():
        table = _tables[path, size] = Table(path, size)
    return table


def find_stats(folder: Path, now: int) -> dict[Path, Stats]:
    """How full the tables are whose files lie in `folder` under the names ``limits*``; nothing is changed or locked."""
    found = {}
    for path in sorted(folder.glob("limits*")):
        try:
            buffer = view_mapping(path, _LAYOUT)
        except OSError:  # gone, or of somebody else
            continue
        if buffer is not None:
            found[path] = _stats(memoryview(buffer)[: len(buffer) // 8 * 8].cast("Q"), len(buffer), now)
    return found


def _stats(words: memoryview[int], size: int, now: int) -> Stats:
    cells = (size - _CELLS) // _BUCKET * _WAYS
    ends = words[_CELLS // 8 + 2 : (_CELLS + cells * CELL) // 8 : CELL // 8].tolist()
    used = sum(end > now for end in ends)
    lately = words[_EVICTIONS] > 0 and words[_NEXT_WARNING] > now - _LATELY_NS
    return Stats(cells, used, words[_EVICTIONS], words[_REPAIRS], size, lately)


class Table:
    """The table in the file at `path`; use `open_table`, so that a process maps it once."""

    def __init__(self, path: Path, size: int) -> None:
        if size < SMALLEST:
            raise ValueError(f"a table of counters needs at least {SMALLEST} bytes, not {size}")
        self.path = path
        self.buffer = open_mapping(path, size, _initialise, layout=_LAYOUT)
        self.cells = Cells(memoryview(self.buffer)[: size - size % 8])
        self._buckets = (size - _CELLS) // _BUCKET
        self._hash = hashlib.blake2b(digest_size=16, key=self.buffer[_SECRET : _SECRET + _SECRET_BYTES])
        self._warning = ""
        self._identity = identity(self.buffer)  # as it is now, should the header be overwritten
        mutex = Mutex(self.buffer, HEADER, patience_seconds=PATIENCE_SECONDS)
        self.acquire, self.release = mutex.acquire, mutex.release

    def replaced(self) -> bool:
        """Whether the file at `path` is another one by now, which other processes use."""
        return replaced(self.buffer, self.path)

    def follow(self) -> Table:
        """The table that the others use by now: this one, while its folder is the site's and nobody has put a new
        file there."""
        try:
            path = runtime.moved(self.path)
            if path != self.path:
                runtime.make_folder(path.parent)
            elif not self.replaced():
                return self
            return open_table(path, len(self.buffer))
        except OSError:
            return self  # no descriptor left, say; the next second will do

    def renewed(self, damage: Exception) -> Table:
        """An empty table in place of this one, as `damage` was met in it; all others follow. OSError where none can be
        made."""
        discard(self.path, self._identity)
        if _tables.get((self.path, len(self.buffer))) is self:
            del _tables[self.path, len(self.buffer)]
        newer = open_table(self.path, len(self.buffer))
        _log.error("%s: the limiter's table is unusable (%s); a new one is in its place", self.path, damage)
        return newer

    def tag(self, key: bytes) -> Tag:
        """The two halves of the key's hash."""
        return self.tagger(b"")(key)

    def tagger(self, prefix: bytes) -> Callable[[bytes], Tag]:
        """`tag` for keys that begin with `prefix`, which need not be given, nor hashed, each time."""
        hashed = self._hash.copy()
        hashed.update(prefix)
        copy, halves = hashed.copy, _PAIR.unpack

        def tag(key: bytes) -> Tag:
            whole = copy()
            whole.update(key)
            return halves(whole.digest())

        return tag

    def find(self, tag: Tag) -> int:
        """The byte offset of the tag's cell, or 0 when it has none."""
        name, find = _PAIR.pack(*tag), self.buffer.find
        for half in tag:
            start = _CELLS + half % self._buckets * _BUCKET
            at = find(name, start, start + _BUCKET)
            while at >= 0:
                if not (at - start) % CELL:
                    return at
                at = find(name, at + 1, start + _BUCKET)
        return 0

    def claim(self, tag: Tag, limit: int, now: int) -> int:
        """The byte offset of a cell made free for the tag, which has none: it counts once its `expires` is set."""
        at = self._room(tag, now)
        words, index = self.cells.words, at >> 3
        if words[index + 2] > now:
            self._note_eviction(now)
        words[index + 2] = 0  # first of all: from here on nobody takes the rest for a counter
        words[index] = tag[0]
        words[index + 1] = tag[1]
        self.cells.ints[(at >> 2) + 7] = min(limit, MOST)
        return at

    def note_denial(self, at: int) -> None:
        """Remember that the cell's client was denied: it is the last one to make room, until `forget_denial`."""
        self.cells.ints[(at >> 2) + 7] = 0

    def forget_denial(self, at: int, limit: int) -> None:
        """Forget a denial, as the cell, which counts nothing at the moment, is about to be charged."""
        self.cells.ints[(at >> 2) + 7] = limit

    def note_death(self) -> None:
        """Count that a process died inside; by the order of its writes there is nothing to repair (`cells.py`)."""
        self.cells.words[_REPAIRS] += 1

    def reset(self, now: int) -> int:
        """Forget every counter; how many there were that still counted something."""
        words, counting = self.cells.words, 0
        for index in range(_CELLS // 8 + 2, (_CELLS + self._buckets * _BUCKET) // 8, CELL // 8):
            counting += words[index] > now
            words[index] = 0
        return counting

    def warn(self) -> None:
        """Log that the table is too small, if that is due: once a minute for all processes. Outside the mutex."""
        text, self._warning = self._warning, ""
        if text:
            _log.warning(text)

    def stats(self, now: int) -> Stats:
        """Look through the whole table (a few milliseconds), without the mutex: the figures are of about `now`."""
        return _stats(self.cells.words, len(self.buffer), now)

    def _room(self, tag: Tag, now: int) -> int:
        """The offset of a free cell in the emptier of the tag's two buckets, or else of the least important cell."""
        best: list[int] = []
        for half in tag:
            start = _CELLS + half % self._buckets * _BUCKET
            ends = _HEADS.unpack_from(self.buffer, start)[2::_FIELDS]
            free = [start + way * CELL for way, end in enumerate(ends) if end <= now]
            if len(free) > len(best):
                best = free
        return best[0] if best else min(self._rank(tag[0]), self._rank(tag[1]))[2]

    def _rank(self, half: int) -> tuple[float, int, int]:
        """The least important cell of a full bucket: how much of its limit is used, when it ends, and its offset."""
        start = _CELLS + half % self._buckets * _BUCKET
        heads = _HEADS.unpack_from(self.buffer, start)
        ranks = zip(heads[3::_FIELDS], heads[4::_FIELDS], heads[2::_FIELDS], strict=True)
        return min(
            (used / limit if limit else _DENIED, end, start + way * CELL)
            for way, (used, limit, end) in enumerate(ranks)
        )

    def _note_eviction(self, now: int) -> None:
        words = self.cells.words
        words[_EVICTIONS] += 1
        if now >= words[_NEXT_WARNING]:
            words[_NEXT_WARNING] = now + _WARN_EVERY_NS
            self._warning = (
                f"{self.path}: the limiter's table of {len(self.buffer)} bytes is full; counters that still mattered"
                f" and were forgotten, since it was made: {words[_EVICTIONS]}; give it a larger size"
            )


def _initialise(buffer: mmap.mmap) -> None:
    Mutex.create(buffer, HEADER)
    buffer[_SECRET : _SECRET + _SECRET_BYTES] = secrets.token_bytes(_SECRET_BYTES)
