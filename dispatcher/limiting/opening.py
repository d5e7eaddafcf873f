"""What is to be counted, and where → the limiter that does it."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from limits import RateLimitItem

from dispatcher import runtime
from dispatcher.errors import LoadError, Problem
from dispatcher.limiting import store
from dispatcher.limiting.decision import Limiter
from dispatcher.limiting.remote import RemoteLimiter
from dispatcher.limiting.shared import SharedLimiter
from dispatcher.shm.table import DEFAULT_SIZE

OnStorageError = Literal["local", "allow", "deny"]

SHARED: Final = "shared"

_OUTAGES: Final[dict[OnStorageError, str]] = {
    "local": "this process counts in the shared memory of this host",
    "allow": "this process lets every request through",
    "deny": "this process answers 503",
}
_CREDENTIALS: Final = re.compile(r"(?<=//)[^/?#]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """What a limiter counts (`limits` by `strategy`, apart from every other `namespace`) and where.

    `storage` is ``shared`` or the URI of a store that `limits` knows; `table` is the file of the shared memory, of
    `size_bytes`, in which hits are counted also while a store does not answer and `on_storage_error` is ``local``.
    """

    limits: tuple[RateLimitItem, ...]
    strategy: str
    burst: int | None
    namespace: str
    storage: str
    table: Path
    size_bytes: int
    on_storage_error: OnStorageError


def default_table() -> Path:
    """The file of the shared memory where there is no site: of this user and this working directory, as ``shared://``
    has it for other users of `limits`."""
    return runtime.site_folder(Path.cwd() / "shared-limits") / "limits"


def open_limiter(counting: Counting) -> Limiter:
    """The limiter for `counting`. Opens the shared memory, and no connection."""
    if counting.storage == SHARED:
        return _open_shared(counting)
    _import_client(counting.storage)
    return RemoteLimiter(
        lambda: store.Store(
            store.connect(counting.storage),
            counting.limits,
            strategy=counting.strategy,
            namespace=counting.namespace,
        ),
        name=without_password(counting.storage),
        outage=_OUTAGES[counting.on_storage_error],
        instead=_open_shared(counting) if counting.on_storage_error == "local" else None,
    )


def _open_shared(counting: Counting) -> Limiter:
    table, size = counting.table, counting.size_bytes
    if size != DEFAULT_SIZE:
        table = table.with_name(f"{table.name}-{size}")  # a file has one size: two would replace each other for ever
    try:
        return SharedLimiter(
            table,
            counting.limits,
            strategy=counting.strategy,
            burst=counting.burst,
            namespace=counting.namespace,
            size=size,
        )
    except OSError as error:
        what = f"the shared memory {table} cannot be used: {error}; name another place with table:"
        raise LoadError(Problem(what, "table")) from error


def _import_client(uri: str) -> None:
    # Now, and not by the first request: it takes a tenth of a second.
    importlib.import_module(store.client_package(uri) or "limits")


def without_password(uri: str) -> str:
    """`uri` for a log: without user, password and query, which may hold one as well."""
    return _CREDENTIALS.sub("", uri.partition("?")[0])
