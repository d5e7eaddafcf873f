"""The gunicorn glue: `server:` becomes gunicorn's settings, and what cannot be served is said before a worker starts.

``gunicorn.conf.py`` beside `config.yaml` has two lines, and imports no app::

    from dispatcher.server import gunicorn_settings
    globals().update(gunicorn_settings())

``dispatcher serve`` is the same without that file. Either way the config is read once in the master, where a mistake
ends the start with its problems and exit code 1. The apps are loaded on trial in a child process before the first
worker: so no worker boots only to die, and the master never holds their code.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from dispatcher import catalog, config, hup, live, loader, owner, runtime, serversettings, starting
from dispatcher.config import Config, Contents
from dispatcher.errors import ConfigError, DispatcherError, Problem
from dispatcher.live import Live
from dispatcher.record import Process, Records
from dispatcher.starting import Start
from dispatcher.yamlfile.document import YAMLPath

_BIND_SECONDS: Final = 2.0  # a port that an ending server gives up within this time is not taken
_DEFAULTS: Final[Mapping[str, Any]] = {
    "wsgi_app": "dispatcher:app",
    "control_socket_disable": True,  # gunicorn's default is one path per user, which two sites would share
}


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`DISPATCHER_CONFIG`, or ``config.yaml`` in the working directory."""
    return Path(environ.get("DISPATCHER_CONFIG") or "config.yaml")


def load_stack(file: Path | None = None) -> Live:
    """The site for a server's worker; a DispatcherError says why there is none.

    In gunicorn the problems go to stderr without a traceback, and the exit code is the one (3) that tells the master
    that a new worker would fare no better.
    """
    try:
        return live.boot(file or config_file())
    except DispatcherError as error:
        if not _is_called_by_gunicorn():
            raise
        _say(error)
        sys.exit(Arbiter.WORKER_BOOT_ERROR)


def _is_called_by_gunicorn() -> bool:
    """Whether a gunicorn loads its app at this moment. That its module is imported says nothing: this one does it."""
    return any(frame.f_globals.get("__name__") == Arbiter.__module__ for frame, _ in traceback.walk_stack(None))


def obstacles(site: Config) -> list[Problem]:
    """What would stop a server with the settings of `site`, here and now."""
    loader.add_import_path(site.site.root)  # a class of workers may be the site's own
    mistakes = serversettings.find_obstacles(site.server)
    return [site.problem(("server", *one.path), one.what, key=one.key) for one in mistakes]


def gunicorn_settings(file: str | Path | None = None) -> dict[str, Any]:
    """gunicorn's settings for the config at `file`; a wrong config ends the process with its problems and code 1.

    Relative paths in them start at the folder of the config, because gunicorn is told to change there.
    """
    try:
        contents = config.read_contents(file or config_file())
        site = config.read(file or config_file(), options=catalog.OPTIONS, contents=contents)
        if problems := obstacles(site):
            raise ConfigError(problems)
    except DispatcherError as error:
        _stop(str(error))
    os.environ["DISPATCHER_CONFIG"] = str(site.file)
    hooks = {
        "on_starting": _on_starting(site, contents),
        "when_ready": when_ready,
        "post_worker_init": post_worker_init,
        "on_exit": _on_exit(site.file),
    }
    return {**_DEFAULTS, "chdir": str(site.site.root), **hooks, **site.server}


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """``dispatcher serve``: gunicorn with the settings of the config `file`, and `overrides` from the command line."""

    def __init__(self, file: Path | None, overrides: Mapping[str, Any]) -> None:
        self._file = file
        self._overrides = overrides
        super().__init__()

    def load_config(self) -> None:
        settings = gunicorn_settings(self._file)
        self._file = config_file()  # absolute by now, for a HUP: the working directory is about to change
        for name, value in {**settings, **self._overrides}.items():
            self.cfg.set(name, value)
        os.chdir(self.cfg.chdir)

    def load(self) -> Live:
        return load_stack()


def when_ready(arbiter: Arbiter) -> None:
    """gunicorn's hook: a HUP is checked before it is done. A `gunicorn.conf.py` that has a hook of this name calls this
    one from it."""
    file = config_file()
    hup.install(arbiter, file, _folder(file, arbiter))


def post_worker_init(worker: Worker) -> None:
    """gunicorn's hook: the worker begins to follow the config before it takes a request. A `gunicorn.conf.py` that has
    a hook of this name calls this one from it, or leaves it to the first request."""
    if isinstance(worker.wsgi, Live):
        worker.wsgi.start()


def _on_starting(site: Config, contents: Contents) -> Callable[[Arbiter], None]:
    def on_starting(arbiter: Arbiter) -> None:
        problem = _taken_address(site, arbiter) or _wrong_user(arbiter) or _begin(site, contents, arbiter)
        if problem:
            if arbiter.pidfile is not None:
                arbiter.pidfile.unlink()
            _stop(problem)

    return on_starting


def _on_exit(file: Path) -> Callable[[Arbiter], None]:
    def on_exit(arbiter: Arbiter) -> None:
        Records(_folder(file, arbiter), Process.of(os.getpid())).remove()

    return on_exit


def _folder(file: Path, arbiter: Arbiter) -> Path:
    """The runtime folder, which is that of the user of the workers."""
    with owner.acting_as(arbiter.cfg.uid):
        return runtime.site_folder(file)


def _stop(text: str) -> NoReturn:
    _say(text)
    sys.exit(1)


def _say(text: object) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _taken_address(site: Config, arbiter: Arbiter) -> str | None:
    """Why gunicorn could not listen, if so; sockets that it inherits, and Unix ones, are its own affair."""
    if arbiter.master_pid or arbiter.cfg.reuse_port or os.environ.get("LISTEN_FDS"):
        return None
    for address in arbiter.cfg.address:
        if isinstance(address, tuple) and (reason := _cannot_bind(address)):
            host, port = address[:2]
            what = f"cannot listen on {host}:{port}: {reason}"
            path = _path_of(address, site)
            return str(site.problem(path, what)) if path else f"dispatcher: {what}"
    return None


def _path_of(address: object, site: Config) -> YAMLPath:
    """Where the config says `address`; nowhere, if that comes from the command line or is gunicorn's own."""
    bind = site.server.get("bind", ())
    if isinstance(bind, str):
        return ("server", "bind") if util.parse_address(bind) == address else ()
    found = (index for index, one in enumerate(bind) if util.parse_address(one) == address)
    return next((("server", "bind", index) for index in found), ())


def _cannot_bind(address: tuple[Any, ...], clock: Callable[[], float] = time.monotonic) -> str | None:
    deadline = clock() + _BIND_SECONDS
    while True:
        try:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OverflowError:
            return "a port is at most 65535"
        except socket.gaierror as error:
            return f"no such host ({error.strerror})"
        except OSError as error:
            if error.errno == errno.EADDRINUSE and clock() < deadline:
                time.sleep(0.1)
                continue
            return _BIND_REASONS.get(error.errno or 0, error.strerror or str(error))
        return None


_BIND_REASONS: Final = {
    errno.EADDRINUSE: "another process listens there; stop it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "ports below 1024 need a privilege; choose another port",
}


def _wrong_user(arbiter: Arbiter) -> str | None:
    wanted, own = (arbiter.cfg.uid, arbiter.cfg.gid), (os.geteuid(), os.getegid())
    if own[0] == 0 or wanted == own:
        return None
    return (
        "dispatcher: only root can have workers of another user or group; start it as root, or without these settings"
    )


def _begin(site: Config, contents: Contents, arbiter: Arbiter) -> str | None:
    """Find out which mounts can be loaded. What stops the start is returned, what disables a mount goes to stderr."""
    folder = _folder(site.file, arbiter)
    records = Records(folder, Process.of(os.getpid()))
    try:
        if folder != site.site.runtime:  # of another user, which the command line may name
            site = config.read(site.file, options=catalog.OPTIONS, contents=contents, runtime_folder=folder)
        found = starting.begin(site, contents, records, become=_become_worker(arbiter))
        _tell(site, found, records)
    except DispatcherError as error:
        return str(error)
    except OSError as error:
        _say(f"dispatcher: what the workers have in common cannot be kept: {error}")
    return None


def _become_worker(arbiter: Arbiter) -> Callable[[], None]:
    return partial(owner.become, arbiter.cfg.uid, arbiter.cfg.gid, arbiter.cfg.initgroups)


def _tell(site: Config, found: Start, records: Records) -> None:
    """Say what answers 503, once: here, unless the log of the workers has it, and says it on the console as well."""
    has_file = site.logging is not None and site.logging.file is not None
    if not has_file:
        records.write_failing({key: replace(one, told=True) for key, one in records.failing().items()})
    if not (has_file and site.logging is not None and site.logging.console):
        for failure in found.failed.values():
            texts = failure.problems if has_file else failure.texts()
            _say("\n".join(texts) + "\n    (this mount answers 503, the others serve)")
    for key in found.undecided:
        _say(f"{site.file.name}: {key} takes its time to load; it answers 503 until then")
