from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from dispatcher.shm import table as table_module
from dispatcher.shm.cells import Cells
from dispatcher.shm.table import Stats, Table, Tag, find_stats, open_table

MINUTE = 60 * 10**9
NOW = 10 * MINUTE


def _count(table: Table, tag: Tag, *, used: int = 1, until: int = NOW + MINUTE, now: int = NOW) -> int:
    at = table.find(tag) or table.claim(tag, 10, now)
    table.cells.ints[(at >> 2) + 6] = used
    table.cells.words[(at >> 3) + 2] = until
    return at


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return open_table(tmp_path / "table", 4096)  # five buckets of eight cells


def test_a_tag_is_found_where_it_was_put_and_another_one_is_not(table: Table) -> None:
    tag, other = table.tag(b"key"), table.tag(b"other")

    at = _count(table, tag)

    assert (table.find(tag), table.find(other)) == (at, 0)


def test_tags_differ_from_table_to_table(table: Table, tmp_path: Path) -> None:
    other = open_table(tmp_path / "other", 4096)

    assert table.tag(b"key") != other.tag(b"key")


def test_a_process_has_one_table_for_a_path_and_a_size(table: Table, tmp_path: Path) -> None:
    assert open_table(tmp_path / "table", 4096) is table


def test_another_mapping_of_the_file_finds_the_same_cells(table: Table, tmp_path: Path) -> None:
    at = _count(table, table.tag(b"key"))

    again = Table(tmp_path / "table", 4096)

    assert again.find(again.tag(b"key")) == at


def test_a_table_takes_seven_tenths_of_its_cells_before_it_forgets_anything(tmp_path: Path) -> None:
    table = open_table(tmp_path / "large", 2**20)
    cells = table.stats(NOW).cells

    for number in range(cells * 7 // 10):
        _count(table, table.tag(b"%d" % number))

    assert table.stats(NOW) == Stats(cells, cells * 7 // 10, 0, 0, 2**20)


def test_what_has_expired_makes_room_first(table: Table) -> None:
    tags = [table.tag(b"%d" % number) for number in range(1000)]
    for tag in tags:
        _count(table, tag, until=NOW + 1)

    for tag in tags[:20]:
        _count(table, tag, used=1, now=NOW + 1)
    evictions = table.stats(NOW + 1).evictions
    for tag in tags[20:25]:
        _count(table, tag, now=NOW + 1)

    assert table.stats(NOW + 1).evictions == evictions


def test_of_those_that_matter_the_least_used_makes_room_and_who_is_over_its_limit_stays(table: Table) -> None:
    over = [table.tag(b"over %d" % number) for number in range(8)]
    for tag in over:
        _count(table, tag, used=10, until=NOW + 2)  # ends sooner than the others, and stays all the same
    for number in range(1000):
        _count(table, table.tag(b"%d" % number), used=number % 9 + 1)

    assert all(table.find(tag) for tag in over)
    assert table.stats(NOW).evictions == 1008 - 40


def test_who_was_denied_stays_though_others_use_as_much_and_end_later(table: Table) -> None:
    over = [table.tag(b"over %d" % number) for number in range(4)]
    for tag in over:
        table.note_denial(_count(table, tag, used=5, until=NOW + 2))
    for number in range(1000):
        _count(table, table.tag(b"%d" % number), used=10)
    while_denied = [table.find(tag) for tag in over]

    for at in while_denied:
        table.forget_denial(at, 10)
    for number in range(1000, 2000):
        _count(table, table.tag(b"%d" % number), used=10)

    assert all(while_denied)
    assert not any(table.find(tag) for tag in over)


def test_of_equals_the_one_that_ends_first_makes_room(table: Table) -> None:
    tags = [table.tag(b"%d" % number) for number in range(1000)]
    for number, tag in enumerate(tags):
        _count(table, tag, until=NOW + 1 + number)

    assert sum(bool(table.find(tag)) for tag in tags[-5:]) == 5


def test_a_claimed_cell_counts_nothing_until_it_is_charged(table: Table) -> None:
    table.claim(table.tag(b"key"), 10, NOW)

    assert table.stats(NOW).used == 0


def test_a_table_too_small_is_said_once_a_minute_by_all_processes_together(
    table: Table, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other_process = Table(tmp_path / "table", 4096)

    def crowd(now: int) -> list[str]:
        for process in (table, other_process):
            for number in range(100):
                _count(process, process.tag(b"%d %d" % (number, now)), until=now + MINUTE * 60, now=now)
                process.warn()
        messages = caplog.messages.copy()
        caplog.clear()
        return messages

    with caplog.at_level(logging.WARNING, "dispatcher.limiter"):
        first, soon, later = crowd(NOW), crowd(NOW + 1), crowd(NOW + MINUTE)

    assert first == [
        f"{tmp_path}/table: the limiter's table of 4096 bytes is full; counters that still mattered"
        " and were forgotten, since it was made: 1; give it a larger size"
    ]
    assert (len(soon), len(later)) == (0, 1)


def test_a_reset_forgets_every_counter_and_says_how_many_mattered(table: Table) -> None:
    for number in range(5):
        _count(table, table.tag(b"%d" % number), until=NOW + number)

    assert (table.reset(NOW), table.stats(NOW).used) == (4, 0)


def test_a_table_follows_its_file_where_that_can_be_opened(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = table.follow()
    (tmp_path / "table").unlink()
    gone = table.follow()
    other_process = Table(tmp_path / "table", 4096)

    def no_descriptor(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(table_module, "open_mapping", no_descriptor)
        failed = table.follow()
    newer = table.follow()

    assert (same, gone, failed) == (table, table, table)
    assert newer.tag(b"key") == other_process.tag(b"key")


def test_the_tables_in_a_folder_are_read_and_not_changed(tmp_path: Path) -> None:
    full, idle = Table(tmp_path / "limits", 4096), Table(tmp_path / "limits-8192", 8192)
    (tmp_path / "limits-foreign").write_bytes(bytes(8192))
    (tmp_path / "limits-link").symlink_to("limits")
    (tmp_path / "other").write_text("not a table")
    for number in range(1000):
        _count(full, full.tag(b"%d" % number), until=NOW + 180 * MINUTE)
    before = bytes(full.buffer)

    found = find_stats(tmp_path, NOW)

    assert found == {
        tmp_path / "limits": Stats(40, 40, full.stats(NOW).evictions, 0, 4096, too_small=True),
        tmp_path / "limits-8192": idle.stats(NOW),
    }
    assert found[tmp_path / "limits"].evictions > 9
    assert bytes(full.buffer) == before


def test_a_table_that_forgets_nothing_for_an_hour_is_large_enough(table: Table) -> None:
    for number in range(50):
        _count(table, table.tag(b"%d" % number), until=NOW + 180 * MINUTE)

    assert [table.stats(NOW + minutes * MINUTE).too_small for minutes in (0, 59, 62)] == [True, True, False]


def test_deaths_are_counted(table: Table) -> None:
    table.note_death()

    assert table.stats(NOW).repairs == 1


def test_a_file_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a table of counters needs at least 4096 bytes, not 4095$"):
        open_table(tmp_path / "small", 4095)


@pytest.mark.parametrize("size", [4097, 5000, 4096 + 768])
def test_any_size_will_do(tmp_path: Path, size: int) -> None:
    table = open_table(tmp_path / "table", size)
    for number in range(200):
        _count(table, table.tag(b"%d" % number))

    assert table.stats(NOW).used == table.stats(NOW).cells == (size - 256) // 768 * 8


def test_the_views_of_a_cell_show_the_same_memory() -> None:
    cells = Cells(memoryview(bytearray(96)))

    cells.ints[7] = 5

    assert (cells.words[3], cells.shorts[14], cells.buffer[28]) == (5 << 32, 5, 5)
