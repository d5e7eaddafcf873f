"""Real gunicorn for tests: a site in a folder, served on a free loopback port, and ended by pid whatever happens."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PYTHON: Final = sys.executable
GUNICORN: Final = (PYTHON, "-m", "gunicorn")
DISPATCHER: Final = (PYTHON, "-m", "dispatcher")
GUNICORN_CONF: Final = "from dispatcher.server import gunicorn_settings\nglobals().update(gunicorn_settings())\n"
START_SECONDS: Final = 20.0


def write_site(folder: Path, config: str, **files: str) -> Path:
    """Write `config.yaml`, `gunicorn.conf.py` and modules (``name="source"`` → ``name.py``) into `folder`."""
    (folder / "config.yaml").write_text(textwrap.dedent(config))
    (folder / "gunicorn.conf.py").write_text(GUNICORN_CONF)
    for name, source in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    return folder


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: `status`, `headers` by lower-case name, and `body`."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class Serving:
    """A running gunicorn: `process` is its master; what it prints is in `output`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    output: Path

    def request(
        self, path: str, method: str = "GET", *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """The pids of the master's children."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def printed(self) -> str:
        return self.output.read_text(errors="replace")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environ(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would point a site elsewhere."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("DISPATCHER_", "GUNICORN_"))}
    return {**own, **(extra or {})}


def run(folder: Path, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    environ = clean_environ(env)
    return subprocess.run(command, check=False, cwd=folder, env=environ, capture_output=True, text=True, timeout=60)


@contextmanager
def serving(
    folder: Path,
    *args: str,
    command: Sequence[str] = (*GUNICORN, "dispatcher:app"),
    env: Mapping[str, str] | None = None,
    ready: str = "/",
) -> Iterator[Serving]:
    """Serve `folder` until the block ends; waits until `ready` is answered, whatever the status."""
    port = free_port()
    output = folder / "output.txt"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{port}", *args],
            cwd=folder,
            env=clean_environ(env),
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    site = Serving(folder, port, process, output)
    try:
        _wait(site, ready)
        yield site
    finally:
        _stop(process)


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Return as soon as `condition` holds, or after `seconds`: what is to be asserted is asserted by the caller."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _wait(site: Serving, ready: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            site.request(ready)
        except OSError as error:
            if site.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start:\n{site.printed()}") from error
            time.sleep(0.05)
        else:
            return


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass  # the group is killed below
    try:
        os.killpg(process.pid, signal.SIGKILL)  # the session that was started here: master, workers, nothing else
    except ProcessLookupError:
        pass
    process.wait(10)
