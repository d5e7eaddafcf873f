from __future__ import annotations

from pathlib import Path

import pytest
from limits import RateLimitItemPerHour

from dispatcher.limiting.places import Place, Places, charge, expires, forget, look
from dispatcher.limiting.shared import SharedLimiter
from dispatcher.limiting.windows import FixedWindow
from dispatcher.shm.table import Table, open_table

NOW = 10**12


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return open_table(tmp_path / "table", 4096)


def _place(table: Table, key: bytes) -> Place:
    return Place(FixedWindow(table.cells, 10, 1000), table.tag(key))


def test_a_place_is_made_once_for_a_key() -> None:
    places: Places[str, list[str]] = Places(lambda key: [key])

    assert places["a"] is places["a"]


def test_of_very_many_keys_the_last_ones_are_remembered_and_no_more_than_2048() -> None:
    made: list[int] = []

    def make(key: int) -> list[int]:
        made.append(key)
        return [key]

    places: Places[int, list[int]] = Places(make)
    for key in range(50_000):
        assert places[key] == [key]
    made.clear()

    remembered = [key for key in range(50_000 - 1024, 50_000) if places[key]]

    assert (len(remembered), made) == (1024, [])
    assert len(places.known) + len(places._before) <= 2048


def test_a_key_that_comes_again_and_again_is_remembered_whatever_comes_between() -> None:
    made: list[int] = []

    def make(key: int) -> list[int]:
        made.append(key)
        return [key]

    places: Places[int, list[int]] = Places(make)
    for key in range(10_000):
        assert places[-1 - key % 500]
        assert places[key]

    assert len([key for key in made if key < 0]) == 500


def test_what_one_place_counts_another_of_the_same_key_sees(table: Table) -> None:
    one, other = _place(table, b"key"), _place(table, b"key")
    look(table, one, NOW)
    charge(table, one, NOW, 3)

    assert (look(table, other, NOW), expires(table, other)) == (3, NOW + 1000)


def test_a_place_whose_cell_went_to_another_key_is_empty_and_leaves_that_key_alone(table: Table) -> None:
    place = _place(table, b"key")
    look(table, place, NOW)
    charge(table, place, NOW, 1)
    crowd = [_place(table, b"%d" % number) for number in range(400)]
    for other in crowd:
        look(table, other, NOW)
        charge(table, other, NOW, 5)

    assert (look(table, place, NOW), expires(table, place)) == (0, 0)
    assert {look(table, other, NOW) for other in crowd} == {0, 5}


def test_a_forgotten_place_counts_nothing_even_when_it_was_not_looked_at(table: Table) -> None:
    place = _place(table, b"key")
    look(table, place, NOW)
    charge(table, place, NOW, 3)

    forget(table, _place(table, b"key"))
    forget(table, _place(table, b"nobody"))

    assert look(table, place, NOW) == 0


def test_limits_of_one_hit_that_take_each_others_cells_count_no_nonsense(tmp_path: Path) -> None:
    limits = [RateLimitItemPerHour(100, hours) for hours in range(1, 61)]  # for 40 cells
    limiter = SharedLimiter(tmp_path / "table", limits, size=4096)

    for _ in range(20):
        limiter.hit("client")

    table = open_table(tmp_path / "table", 4096)
    used = [table.cells.ints[(256 + 96 * cell >> 2) + 6] for cell in range(40)]
    assert all(1 <= count <= 20 for count in used)
