"""`Live`: the callable that a server's worker serves, which an edit of the config changes while it serves.

`boot` makes it. The first worker of a server's run begins with what is on disk; a wrong config ends the start. Each
later one begins with what its siblings serve, whatever has become of the file meanwhile, so that a bad edit never takes
a site down, and no worker serves another config than the others.

`Live.start` is called once in each worker, never before a fork: by gunicorn's hook `post_worker_init`, or by the first
request.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from dispatcher import catalog, compose, config, logs, runtime, starting
from dispatcher.compose import MountedApp, Stack
from dispatcher.config import Config, Contents
from dispatcher.errors import ConfigError, DispatcherError, LoadError, Problem
from dispatcher.record import Active, Process, Records
from dispatcher.reloader import Reloader
from dispatcher.served import Generation, Served
from dispatcher.starting import Start
from dispatcher.trial import Failure
from dispatcher.wsgi import StartResponse, WSGIEnvironment

_STOP_SECONDS: Final = 1.0
HUP_HANDLED_BY: Final = "DISPATCHER_HUP"  # in the environment: the pid of the master that makes the file active at HUP

_LOCK_SECONDS: Final = 0.02
_FRESH_SECONDS: Final = 2.0  # that the workers of a server that starts may begin after each other
_TIMEOUT_SECONDS: Final = 30.0  # gunicorn's own `timeout`

_log: Final = logging.getLogger("dispatcher")
_all: Final[weakref.WeakSet[Live]] = weakref.WeakSet()


class Live:
    """Answers with the stack of the config at `file` as it is now."""

    def __init__(self, file: Path, generation: Generation, *, environ: Mapping[str, str]) -> None:
        self._file = file
        self._served = Served(generation)
        self._environ = environ
        self._made_in = os.getpid()
        self._records: Records | None = None
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._started = False
        self._starting = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def stack(self) -> Stack:
        """The stack that answers now."""
        return self._served.current.stack

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not self._started:
            self.start()
        return self._served(environ, start_response)

    def start(self) -> None:
        """In a worker: catch up with the others, start the mounts, and watch. A second call does nothing."""
        with self._starting:
            if self._started:
                return
            self._records = Records(runtime.site_folder(self._file), _master(self._made_in))
            reloader = Reloader(self._file, self._served, self._records, environ=self._environ)
            try:
                self._records.remove_stale()
                reloader.follow()
            except (OSError, ValueError, LookupError):
                pass  # no place for records, or another version's: the thread tells; what has been read can be served
            self._served.start()
            try:
                reloader.write_worker()
            except OSError:
                pass  # as above
            self._thread = threading.Thread(
                target=reloader.run, args=(self._stopped,), name="dispatcher reload", daemon=True
            )
            self._thread.start()
            atexit.register(_stop, weakref.ref(self), os.getpid())
            self._started = True

    def stop(self) -> None:
        """At the end of a worker: stop watching, and stop the mounts."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
        if self._started:
            self._served.stop()
            try:
                if self._records is not None:
                    self._records.remove_worker(os.getpid())
            except OSError:
                pass  # who reads the records sees that this process has ended


def boot(file: Path) -> Live:
    """The site of `file` for a worker; a DispatcherError only where nothing has been served yet by its siblings."""
    environ = dict(os.environ)
    active = _active(file, environ)
    file = file.absolute()
    if active is None:
        return Live(file, _from_disk(file, environ), environ=environ)
    if _is_read_by_each_worker(file, active, environ):
        try:
            return Live(file, _activated(file, environ), environ=environ)
        except DispatcherError as error:
            _log.error("%s; %s, which is active, goes on serving", error, active.digest)
    try:
        generation = _from_active(file, active, environ)
    except DispatcherError as error:
        _log.error("%s; this worker answers 503 until it can serve %s", error, active.digest, exc_info=error.__cause__)
        generation = _nothing(file)
    return Live(file, generation, environ=environ)


def _from_disk(file: Path, environ: Mapping[str, str]) -> Generation:
    contents = config.read_contents(file)
    site = config.read(file, options=catalog.OPTIONS, environ=environ, contents=contents)
    if site.logging is not None:
        logs.configure(site.logging)
    stack = compose.build(site)
    return Generation(stack, contents, tuple(one.mount.key for one in stack.mounts if one.app is None))


def _activated(file: Path, environ: Mapping[str, str]) -> Generation:
    """What is on disk, which the other workers are to serve as well."""
    found = _from_disk(file, environ)
    records = Records(runtime.site_folder(file), _master(os.getpid()))
    records.activate(Active(found.contents, time.time(), found.waiting))
    return found


def _from_active(file: Path, active: Active, environ: Mapping[str, str]) -> Generation:
    """What the siblings serve; a mount that the code on disk now does not let this worker serve is left out of it."""
    site = config.read(file, options=catalog.OPTIONS, environ=environ, contents=active.contents)
    found = _try(file, site, active)
    if found.fatal:
        raise ConfigError(Problem(text) for text in found.fatal)
    if site.logging is not None:
        logs.configure(site.logging)
    stack = compose.assemble(site, waiting={*active.waiting, *found.failed, *found.undecided})
    for failure in found.failed.values():
        _log.error("%s", "\n".join(failure.texts()))
    for one in stack.mounts:
        if one.error is not None:
            _log.error("%s", one.error, exc_info=one.error.__cause__)
    if _is_held(file) and any(one.error is not None for one in stack.mounts):
        # The code was changed again after the check of a HUP: the old workers stay when a new one ends.
        _log.error("this worker was begun with by a HUP, and cannot serve what the others serve; it ends")
        sys.exit(1)
    mounts = tuple(_with_reason(one, found.failed.get(one.mount.key)) for one in stack.mounts)
    return Generation(replace(stack, mounts=mounts), active.contents, active.waiting)


def _try(file: Path, site: Config, active: Active) -> Start:
    """What the code on disk now does as it is loaded, which may be newer than what the siblings have loaded. It is
    tried in a fork, so that no app can end the worker, and with it gunicorn's master, or keep it from serving."""
    records = Records(runtime.site_folder(file), _master(os.getpid()))
    if not _is_under_gunicorn() or records.is_held() or _is_first_start(records, active):
        return Start()  # there may be threads, or all of it has just been tried
    timeout = site.server.get("timeout") or _TIMEOUT_SECONDS
    longest = timeout / 3  # after it the apps are loaded once more, all before gunicorn takes the worker for stuck
    return starting.try_mounts(site, waiting=active.waiting, patience=longest, longest=longest)


def _is_held(file: Path) -> bool:
    return Records(runtime.site_folder(file), _master(os.getpid())).is_held()


def _is_first_start(records: Records, active: Active) -> bool:
    """Whether this worker is one of those that the server has begun with, which has tried the apps itself just now."""
    latest = time.time() - _FRESH_SECONDS
    return active.since > latest and all(worker.since > latest for worker in records.workers())


def _with_reason(one: MountedApp, failure: Failure | None) -> MountedApp:
    return one if failure is None else replace(one, error=LoadError(Problem(text) for text in failure.problems))


def _nothing(file: Path) -> Generation:
    """What answers 503 to everything, where not even the middleware around the site can be made."""
    contents = Contents(b"mounts: {}")
    return Generation(compose.closed(config.read(file, environ={}, contents=contents)), contents)


def _active(file: Path, environ: Mapping[str, str]) -> Active | None:
    """What is active in this run of the server. None where it is no gunicorn, or has no place for records: only before
    a gunicorn's worker serves there is no other thread, and a fork, which the trial of the mounts takes, is safe."""
    records = Records(runtime.site_folder(file), _master(os.getpid()))
    try:
        active = records.active()
        if active is None and _is_under_gunicorn():
            with _locked(records):
                if records.active() is None:
                    _begin(file, records, environ)
                active = records.active()
    except (OSError, ValueError, LookupError) as error:
        _log.warning("what the workers have in common cannot be kept: %s", error)
        return None
    return active


def _begin(file: Path, records: Records, environ: Mapping[str, str]) -> None:
    contents = config.read_contents(file)
    site = config.read(file, options=catalog.OPTIONS, environ=environ, contents=contents)
    starting.begin(site, contents, records)


@contextmanager
def _locked(records: Records) -> Iterator[None]:
    while (lock := records.lock()) is None:
        time.sleep(_LOCK_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _is_read_by_each_worker(file: Path, active: Active, environ: Mapping[str, str]) -> bool:
    """Whether the file holds something new that neither a watching worker nor our handling of HUP makes active."""
    try:
        site = config.read(file, options=catalog.OPTIONS, environ=environ, contents=active.contents)
        is_new = config.read_contents(file).digest != active.digest
    except DispatcherError:
        return True  # what is wrong is told as the file is read
    return is_new and site.reload is None and os.environ.get(HUP_HANDLED_BY) != str(_master(os.getpid()).pid)


def _master(made_in: int) -> Process:
    """The process that lives as long as a run of the server: gunicorn's master, elsewhere the server itself."""
    if made_in != os.getpid():
        return Process.of(made_in)  # loaded before the fork
    # In a gunicorn worker this signal's handler is the worker's; with --preload the master has none, as yet.
    worker = getattr(signal.getsignal(signal.SIGABRT), "__self__", None)
    return Process.of(getattr(worker, "ppid", os.getpid()))


def _is_under_gunicorn() -> bool:
    return os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn")


def _stop(reference: weakref.ref[Live], pid: int) -> None:
    live = reference()
    if live is not None and os.getpid() == pid:
        live.stop()


def _after_fork() -> None:
    for live in list(_all):
        live._begin()  # threads and locks of the parent are not there


os.register_at_fork(after_in_child=_after_fork)
