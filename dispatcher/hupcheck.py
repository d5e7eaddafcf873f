"""Whether new workers would serve the code, the config and the gunicorn settings as they are now; asked before a HUP.

`Check` runs it as a process of its own, because what it finds may end it: gunicorn exits
where its settings are wrong. The job comes as one line of JSON on standard input; the verdict is written to a file. It
ends with its parent, because its input ends then.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Chdir

from dispatcher import catalog, config, owner, runtime, serversettings, watch
from dispatcher.config import Config
from dispatcher.errors import DispatcherError
from dispatcher.record import Process, Records
from dispatcher.trial import try_all

_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from dispatcher import hupcheck; hupcheck.main()"
)


@dataclass(frozen=True, slots=True)
class Job:
    """The config `file` of the site, the `master`'s pid, the `argv` that it was started with where gunicorn reads its
    settings anew, the working directory (`cwd`) that it has by now, and the `addresses` that it listens on."""

    file: str
    master: int
    argv: tuple[str, ...] = ()
    cwd: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The `problems` that speak against new workers; if none, the `digest` of the config that was tried, and the keys
    of the mounts that are `waiting`: they have failed before, and are tried again by the new workers. `stamp` is that
    of the config's files."""

    stamp: tuple[int, ...]
    digest: str = ""
    problems: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


class Check:
    """A check that goes on in a process of its own, beside the master `arbiter`."""

    def __init__(self, arbiter: Arbiter, file: Path, folder: Path) -> None:
        self.began = time.monotonic()
        self._result = folder / f"hup-{time.monotonic_ns()}.json"
        # `dispatcher serve` has no settings beside those in the config.
        argv = tuple(sys.argv) if type(arbiter.app) is WSGIApplication else ()
        addresses = tuple(repr(address) for address in arbiter.cfg.address)
        job = Job(str(file), os.getpid(), argv, str(Path.cwd()), addresses)
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and our own code
            [sys.executable, "-c", _START, json.dumps(sys.path), str(self._result)],
            cwd=Chdir.default,  # where gunicorn was started: it looks for its settings from there
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        self._send(json.dumps(asdict(job)).encode() + b"\n")

    def _send(self, line: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101  # made with a pipe
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended already, which its missing verdict tells

    def verdict(self) -> Verdict | None:
        """None while it goes on."""
        ended = self._process.poll() is not None  # looked at first: it writes, and then ends
        found = read_verdict(self._result)
        if found is None and not ended:
            return None
        self.close()
        return found or Verdict((), problems=("the check before the HUP ended without a verdict",))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        self._result.unlink(missing_ok=True)


def read_verdict(file: Path) -> Verdict | None:
    """The verdict in `file`, if it is there already."""
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    lists = {name: tuple(found[name]) for name in ("stamp", "problems", "waiting")}
    return Verdict(digest=found["digest"], **lists)


def judge(job: Job) -> Verdict:
    """The verdict on what is on disk now."""
    file = Path(job.file)
    stamp = watch.stamp_of(file)
    try:
        contents = config.read_contents(file)
        site = config.read(file, options=catalog.OPTIONS, contents=contents)
    except DispatcherError as error:
        return Verdict(stamp, problems=tuple(str(problem) for problem in error.problems))
    if job.argv and (problem := _wrong_settings(job)):
        return Verdict(stamp, contents.digest, (problem,))
    os.chdir(job.cwd)
    failing = _failing(site, job.master)
    keys = [mount.key for mount in site.mounts if mount.key not in failing]
    outcome = try_all(site, contents, keys, environ=os.environ)
    problems = [*outcome.fatal, *(text for failure in outcome.failed.values() for text in failure.texts())]
    waiting = tuple(mount.key for mount in site.mounts if mount.key in failing)
    return Verdict(stamp, contents.digest, tuple(problems), waiting)


def _failing(site: Config, master: int) -> Sequence[str]:
    with owner.acting_as(serversettings.identity(site.server)[0]):
        folder = runtime.site_folder(site.file)
    active = Records(folder, Process.of(master)).active()
    return active.waiting if active is not None and not site.strict else ()


def _wrong_settings(job: Job) -> str:
    """What gunicorn says of the settings that it would read, in ``gunicorn.conf.py`` too, if they are wrong."""
    said = io.StringIO()
    before, sys.argv = sys.argv, list(job.argv)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            app = WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn")
            _ = app.cfg.worker_class, app.cfg.logger_class  # imported here, as gunicorn does when it takes them
        new = [address for address in app.cfg.address if repr(address) not in job.addresses]
        return next(filter(None, map(_cannot_listen, new)), "")
    except SystemExit:
        return said.getvalue().strip() or "gunicorn refuses its settings"
    except BaseException:  # noqa: BLE001  # a hook in gunicorn.conf.py may raise anything
        return f"gunicorn's settings cannot be read:\n{traceback.format_exc()}"
    finally:
        sys.argv = before


def _cannot_listen(address: object) -> str:
    if not isinstance(address, tuple):
        return ""  # a Unix socket, which gunicorn replaces
    try:
        with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}"
    return ""


def main() -> None:
    """Do the job, and write the verdict to the file that is named on the command line."""
    job = _job(json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        verdict = judge(job)
    except BaseException:  # noqa: BLE001  # whatever it is, it must not pass for a site that can be served
        verdict = Verdict((), problems=(f"the check before the HUP failed:\n{traceback.format_exc()}",))
    result = Path(sys.argv[2])
    new = result.with_suffix(".new")
    new.write_text(json.dumps(asdict(verdict)))
    new.rename(result)
    os._exit(0)


def _job(found: Mapping[str, Any]) -> Job:
    return Job(**{**found, "argv": tuple(found["argv"]), "addresses": tuple(found["addresses"])})


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)
