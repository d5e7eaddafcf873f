from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask_limiter import Limiter
from limits import parse
from limits.errors import ConfigurationError, StorageError
from limits.storage import storage_from_string
from limits.strategies import STRATEGIES, FixedWindowRateLimiter

from dispatcher.limiting.storage import SharedStorage
from dispatcher.runtime import site_folder
from dispatcher.shm.table import DEFAULT_SIZE, Table


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _in_child(work: Callable[[], int]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _flask_app(strategy: str) -> Flask:
    app = Flask("shop")
    app.config.update(
        RATELIMIT_STORAGE_URI="shared://",
        RATELIMIT_STORAGE_OPTIONS={"size": "1MB"},
        RATELIMIT_STRATEGY=strategy,
        RATELIMIT_HEADERS_ENABLED=True,
    )
    limiter = Limiter(lambda: "everybody", app=app)
    app.add_url_rule("/", view_func=limiter.limit("7/minute")(lambda: "welcome"))
    return app


def _answered(app: Flask, requests: int) -> int:
    client = app.test_client()
    return sum(client.get("/").status_code == 200 for _ in range(requests))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_flask_limiter_counts_in_all_processes_together(strategy: str) -> None:
    app = _flask_app(strategy)

    counts = [
        _in_child(lambda: _answered(app, 3)),
        _in_child(lambda: _answered(_flask_app(strategy), 3)),
        _answered(app, 20),
    ]

    assert counts == [3, 3, 1]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_window_of_a_thousand_years_is_counted(place: Path, strategy: str) -> None:
    limiter = STRATEGIES[strategy](SharedStorage("shared://"))
    item = parse("2 per 1000 years")

    assert [limiter.hit(item, "client") for _ in range(3)] == [True, True, False]
    assert limiter.get_window_stats(item, "client").remaining == 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_flask_limiter_tells_what_is_left_and_until_when(strategy: str) -> None:
    headers = _flask_app(strategy).test_client().get("/").headers

    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("7", "6")
    assert 58 <= float(headers["X-RateLimit-Reset"]) - time.time() <= 61


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_of_limits_admits_its_limit_and_says_so(strategy: str) -> None:
    limiter = STRATEGIES[strategy](storage_from_string("shared://"))
    item = parse("10/hour")
    before = limiter.get_window_stats(item, "client").remaining
    hits = [limiter.hit(item, "client", cost=3) for _ in range(4)]

    assert (before, hits) == (10, [True, True, True, False])
    assert limiter.test(item, "client") is (strategy != "fixed-window")  # which counts what it denies, as in `limits`

    limiter.clear(item, "client")
    assert limiter.get_window_stats(item, "client").remaining == 10


def test_a_window_that_does_not_exist_has_ended() -> None:
    assert SharedStorage().get_expiry("nobody") == pytest.approx(time.time(), abs=1)


def test_a_reset_forgets_everything_and_says_how_much() -> None:
    storage = SharedStorage()
    for key in ("a", "b", "c"):
        storage.incr(key, 60)
    SharedStorage().acquire_entry("a", 10, 60)

    assert (storage.reset(), storage.get("a"), storage.reset()) == (4, 0, 0)


def test_the_file_is_where_the_user_and_the_working_directory_say(tmp_path: Path) -> None:
    SharedStorage("shared://").incr("key", 60)

    file = site_folder(tmp_path / "shared-limits") / "limits"
    assert (file.stat().st_size, file.is_relative_to(tmp_path)) == (DEFAULT_SIZE, True)


@pytest.mark.parametrize("size", ["?size=64KB", "?size=64000"])
def test_a_path_and_a_size_in_the_uri_are_used(tmp_path: Path, size: str) -> None:
    SharedStorage(f"shared://{tmp_path}/the%20limits{size}")

    assert (tmp_path / "the limits").stat().st_size == 64000


@pytest.mark.parametrize(
    "uri", ["shared://host/limits", "shared:///limits?sise=1MB", "shared:///srv/", "shared:///"], ids=str
)
def test_a_uri_that_means_nothing_is_refused(uri: str) -> None:
    message = f"{uri}: expected shared:// or shared:///absolute/path, and ?size=16MB at most"

    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        storage_from_string(uri)


def test_a_size_that_means_nothing_is_refused() -> None:
    message = "size 'big': expected a size such as 50MB, 64KiB or a number of bytes"

    with pytest.raises(ConfigurationError, match=f"^{message}$"):
        storage_from_string("shared://", size="big")


def test_a_file_that_cannot_be_made_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NotADirectoryError):
        storage_from_string(f"shared://{tmp_path}/file/limits")


@pytest.mark.parametrize("mode", [0o777, 0o775], ids=oct)
def test_a_folder_that_others_may_write_to_is_refused(place: Path, mode: int) -> None:
    (place / "open").mkdir()
    (place / "open").chmod(mode)

    with pytest.raises(PermissionError, match="is writable by other users"):
        SharedStorage(f"shared://{place}/open/limits")


def test_a_folder_that_is_missing_is_made_for_us_alone(place: Path) -> None:
    SharedStorage(f"shared://{place}/missing/limits")

    assert (place / "missing").stat().st_mode & 0o777 == 0o700


def test_errors_are_wrapped_for_who_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = SharedStorage(wrap_exceptions=True)
    monkeypatch.setattr(storage._counters.table, "acquire", lambda: Path("/nonexistent").stat())
    monkeypatch.setattr(Table, "renewed", lambda table, _error: table)

    with pytest.raises(StorageError):
        storage.check()


def test_when_the_file_is_replaced_the_storage_follows_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    limiter = FixedWindowRateLimiter(SharedStorage(f"shared://{tmp_path}/limits?size=64KB"))
    item = parse("5/hour")
    limiter.hit(item)
    (tmp_path / "limits").unlink()
    other_process = Table(tmp_path / "limits", 64000)

    now[0] += 1
    limiter.hit(item)  # still in the old file
    limiter.hit(item)

    assert other_process.stats(int(now[0] * 1e9)).used == 1
    assert limiter.get_window_stats(item).remaining == 4


def test_the_storage_says_how_full_it_is_and_that_it_can_be_reached() -> None:
    storage = SharedStorage("shared://", size="64KB")
    storage.incr("key", 60)

    assert (storage.stats().used, storage.stats().size, storage.check()) == (1, 64000, True)


@pytest.mark.parametrize("work", [lambda storage: storage.incr("key", 60), SharedStorage.check], ids=["hit", "other"])
def test_the_death_of_a_process_inside_is_noticed(work: Callable[[SharedStorage], object]) -> None:
    storage = SharedStorage("shared://", size="64KB")

    def die() -> int:
        storage._counters.table.acquire()
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert _in_child(die) == -signal.SIGKILL
    work(storage)

    assert storage.stats().repairs == 1


def test_a_negative_amount_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^an amount is at least 0, not -1$"):
        SharedStorage().incr("key", 60, amount=-1)
