"""Where the counters of the keys that were hit last are: what a process remembers, to save a hash and a search.

A remembered place may be wrong at any time, because another process has given the cell to another key, so it is
compared with the cell before each use. Everything here but `Places` needs the table's mutex.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from dispatcher.limiting.windows import Window
from dispatcher.shm.table import Table, Tag

_REMEMBERED: Final = 1024  # keys in each of two generations, in about 700 KB together

K = TypeVar("K", bound=Hashable)
P = TypeVar("P")


class Place:
    """One key under one limit: its cell at `at`, 0 when it has none, and what was `used` in it when last looked."""

    __slots__ = ("at", "first", "second", "used", "window")

    def __init__(self, window: Window, tag: Tag) -> None:
        self.window = window
        self.first, self.second = tag
        self.at = self.used = 0


class Places(Generic[K, P]):
    """The places of the keys that were hit last, some 1,024 to 2,048; `make` finds out those of a new one.

    When `known` is full it becomes the generation before, out of which a key that is hit comes back: so busy keys stay,
    and no order has to be kept.
    """

    __slots__ = ("_before", "_make", "known")

    def __init__(self, make: Callable[[K], P]) -> None:
        self._make = make
        self.known: dict[K, P] = {}
        self._before: dict[K, P] = {}

    def __getitem__(self, key: K) -> P:
        known = self.known
        place = known.get(key)  # what is in a hurry does this itself
        if place is None:
            place = self._before.get(key) or self._make(key)
            if len(known) >= _REMEMBERED:
                self._before = known
                self.known = known = {}
            known[key] = place
        return place


def look(table: Table, place: Place, now: int) -> int:
    """Find the place's cell again; how much of its capacity is used."""
    words, index = table.cells.words, place.at >> 3
    if words[index] != place.first or words[index + 1] != place.second:
        place.at = table.find((place.first, place.second))
    place.used = used = place.window.used(place.at, now) if place.at else 0
    return used


def charge(table: Table, place: Place, now: int, cost: int) -> None:
    """Count a cost of at least 1, which must fit what `look` has found just now."""
    # Compared once more: making room for another limit of the same hit may just have taken the cell.
    if not place.at or table.cells.words[place.at >> 3] != place.first:
        place.at, place.used = table.claim((place.first, place.second), place.window.capacity, now), 0
    elif not place.used:
        table.forget_denial(place.at, place.window.capacity)
    place.window.charge(place.at, now, place.used, cost)


def expires(table: Table, place: Place) -> int:
    """When the place's whole capacity is there again; 0 when nothing is used."""
    return table.cells.words[(place.at >> 3) + 2] if place.at else 0


def forget(table: Table, place: Place) -> None:
    """Count nothing for the place any more."""
    at = table.find((place.first, place.second))
    if at:
        table.cells.words[(at >> 3) + 2] = 0
