"""The shape of a counter in shared memory: a cell of 96 bytes, and typed views to read and write its parts.

    0   tag      16 bytes  whose counter this is: a keyed hash
    16  expires  u64       from this time on (ns, monotonic) the cell says nothing and may be given to another key
    24  used     u32       how much of `limit` is used, as far as its last change knew: what eviction goes by
    28  limit    u32       0 once a hit was denied, which makes it the last to be evicted
    32  state    64 bytes  the strategy's own

A process may be killed between any two writes. Each write is one aligned store, so no field is ever half written,
and whoever changes a cell orders the writes so that stopping after any of them charges too much or nothing, never
grants more: `expires` goes last.
"""

from __future__ import annotations

from typing import Final

CELL: Final = 96
STATE: Final = 32
STATE_BYTES: Final = 64

MOST: Final = 2**32 - 1
"""The largest `used` and `limit` that fit."""

LONGEST_SECONDS: Final = 100 * 360 * 86_400
"""The longest time ahead that is counted: a hundred years of `limits`. Nanoseconds of twice that and the uptime fit."""


class Cells:
    """Views on a writable buffer, whose length is a multiple of 8; an index into `words` is a byte offset / 8, …"""

    __slots__ = ("buffer", "ints", "shorts", "words")

    def __init__(self, buffer: memoryview) -> None:
        self.buffer = buffer
        self.words = buffer.cast("Q")
        self.ints = buffer.cast("I")
        self.shorts = buffer.cast("H")
