"""`build(config) -> Stack`: loads the apps, wraps them, mounts them, and folds the middleware around the table.

One app that fails is that mount's affair: it answers 503, the others serve. With ``strict: true``, when no app at all
could be loaded, or when a middleware is wrong, there is no stack: `LoadError` or `ConfigError` says why.

`assemble` does the same beside a stack that serves already: what the two configs have in common is taken over from it,
down to the very objects.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, cast

from dispatcher import catalog, config, flaskstatic, isolation, loader, loadguard, logs
from dispatcher.catalog import Wrap
from dispatcher.config import Config, MiddlewareSpec, Mount
from dispatcher.errors import ConfigError, DispatcherError, LoadError, Problem
from dispatcher.guard import Guard
from dispatcher.middleware.static import Static
from dispatcher.mounts import MountTable, parse_key
from dispatcher.wsgi import STACK, StartResponse, WSGIApplication, WSGIEnvironment, after, current_environ, respond

Hook = Callable[[WSGIApplication], object]
State = Literal["serving", "loading", "disabled"]

_RETRY_AFTER_SECONDS: Final = 5
_log: Final = logging.getLogger("dispatcher")


@dataclass(frozen=True, slots=True, eq=False)
class MountedApp:
    """A mount brought to life: `app` as loaded, and `wrapped` in the mount's own middleware; or why it is not."""

    mount: Mount
    app: WSGIApplication | None
    wrapped: WSGIApplication = field(repr=False)
    error: LoadError | None = None
    on_start: Hook | None = None
    on_stop: Hook | None = None
    undone: tuple[str, ...] = ()  # what loading it changed in the process, and was put back

    @property
    def state(self) -> State:
        """``loading`` is what nobody has tried yet; it answers 503 as ``disabled`` does."""
        if self.app is not None:
            return "serving"
        return "loading" if self.error is None else "disabled"


class Door:
    """The innermost app of the middleware around a site: the way to the mount table.

    The middleware outlives a stack whose successor has the same, so the table is that of the stack that the request
    began on, and the newest one only where a middleware has not handed the `environ` down.
    """

    __slots__ = ("table",)

    def __init__(self, table: MountTable) -> None:
        self.table = table

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        stack = environ.get(STACK)
        table = stack.table if stack is not None and stack.door is self else self.table
        return table(environ, start_response)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Stack:
    """A config brought to life: one WSGI callable. `app` is the outermost middleware, `door` the innermost app, which
    leads to `table`."""

    config: Config
    mounts: tuple[MountedApp, ...]
    table: MountTable = field(repr=False)
    app: WSGIApplication = field(repr=False)
    door: Door = field(repr=False)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.answer(environ, start_response, _nothing)

    def answer(
        self, environ: WSGIEnvironment, start_response: StartResponse, done: Callable[[], object]
    ) -> Iterable[bytes]:
        """As a call, with `done` run when the response is closed, or has failed to begin."""
        before = current_environ.get()  # not None where one stack is mounted in another
        current_environ.set(environ)
        environ[STACK] = self
        end = partial(_end, before, done)
        try:
            body = self.app(environ, start_response)
        except BaseException:
            end()
            raise
        return after(environ, body, end)


def _end(before: WSGIEnvironment | None, done: Callable[[], object]) -> None:
    current_environ.set(before)
    done()


def _nothing() -> None:
    pass


def create_app(file: str | Path) -> Stack:
    """The stack of the config at `file`, with its `logging:` in place; ConfigError or LoadError with every problem."""
    read = config.read(file, options=catalog.OPTIONS)
    if read.logging is not None:
        logs.configure(read.logging)
    return build(read)


def build(site: Config) -> Stack:
    """Bring `site` to life; its folder goes on the import path, and what its `.env` sets into the environment."""
    stack = assemble(site)
    failed = [one.error for one in stack.mounts if one.error is not None]
    if failed and (site.strict or len(failed) == len(stack.mounts)):
        raise LoadError(problem for error in failed for problem in error.problems)
    for error in failed:
        _log.error("%s", error, exc_info=error.__cause__)
    return stack


def assemble(
    site: Config,
    *,
    previous: Stack | None = None,
    waiting: Collection[str] = (),
    begin: Callable[[str], object] = str,
    done: Callable[[MountedApp], object] = id,
) -> Stack:
    """The stack of `site` with what can be taken over from `previous`, whatever of the rest fails to load.

    A mount of which nothing has changed is taken over as it is; where its middleware alone has changed, its app is. The
    mounts whose keys are `waiting` are left ``loading``. `begin` is told the key of each mount before its app is
    loaded, `done` what has come of it. Nothing that `previous` serves is touched.
    """
    loader.add_import_path(site.site.root)
    for name, value in site.env.items():
        os.environ.setdefault(name, value)
    taken = {} if previous is None else _take_over(site, previous, waiting)
    same = {one.mount.key for one in previous.mounts if taken.get(one.mount.key) is one} if previous is not None else ()
    same_middleware = previous is not None and previous.config.middleware == site.middleware
    outer, inner = _middleware(site, () if same_middleware else site.middleware, same)
    loaded = _load_all(site, taken, waiting, begin, done)
    mounted = tuple(one if one.mount.key in same else _wrap_mount(one, inner[one.mount.key]) for one in loaded)
    table = MountTable(mounts={one.mount.key: one.wrapped for one in mounted})
    if previous is not None and same_middleware:
        return replace(previous, config=site, mounts=mounted, table=table)
    door = Door(table)
    return Stack(site, mounted, table, Guard(_fold(door, outer)), door)


def closed(site: Config) -> Stack:
    """A stack that answers 503 to everything."""
    table = MountTable(unavailable)
    door = Door(table)
    return Stack(site, (), table, Guard(door), door)


def _fold(app: WSGIApplication, wraps: Iterable[Wrap]) -> WSGIApplication:
    for wrap in reversed(tuple(wraps)):
        app = wrap(app)
    return app


def _middleware(
    site: Config, around: Iterable[MiddlewareSpec], without: Collection[str]
) -> tuple[tuple[Wrap, ...], Mapping[str, tuple[Wrap, ...]]]:
    """The middleware `around` the site and of each mount but those in `without`, ready to be put around an app; every
    problem at once."""
    problems: list[Problem] = []

    def ready(specs: Iterable[MiddlewareSpec]) -> tuple[Wrap, ...]:
        wraps = []
        for spec in specs:
            try:
                wraps.append(catalog.prepare(site, spec))
            except DispatcherError as error:
                problems.extend(error.problems)
        return tuple(wraps)

    outer = ready(around)
    inner = {mount.key: ready(mount.middleware) for mount in site.mounts if mount.key not in without}
    if problems:
        raise ConfigError(problems)
    return outer, inner


def _load_all(
    site: Config,
    taken: Mapping[str, MountedApp],
    waiting: Collection[str],
    begin: Callable[[str], object],
    done: Callable[[MountedApp], object],
) -> list[MountedApp]:
    """Every mount's app; one object in two mounts is refused, because what it keeps would be that of both."""
    loaded: list[MountedApp] = []
    first: dict[int, str] = {}
    for mount in site.mounts:
        one = taken.get(mount.key)
        is_new = one is None and mount.key not in waiting
        if is_new:
            begin(mount.key)
        one = _load(site, mount) if is_new else one or MountedApp(mount, None, unavailable)
        if one.app is not None and first.setdefault(id(one.app), mount.key) != mount.key:
            what = (
                f"the same app object is mounted at {first[id(one.app)]!r} already, and what an app keeps (its state, "
                "its cookies' names, its prefix) it has once; mount a factory, which makes one app for each mount"
            )
            one = _failed(site, mount, LoadError(Problem(what, "app")))
        if is_new:
            done(one)
        loaded.append(one)
    return loaded


def _take_over(site: Config, previous: Stack, waiting: Collection[str]) -> dict[str, MountedApp]:
    """Of the mounts of `site` those that `previous` has as they are, and those whose app it has."""
    old = {one.mount.key: one for one in previous.mounts}
    taken = {}
    for mount in site.mounts:
        one = old.get(mount.key)
        if one is None or (one.app is None and mount.key not in waiting):
            continue
        if one.mount == mount:
            taken[mount.key] = one
        elif one.app is not None and has_same_app(one.mount, mount):
            taken[mount.key] = replace(one, mount=mount, wrapped=one.app)
    return taken


def has_same_app(one: Mount, other: Mount) -> bool:
    """Whether both make their app in the same way, and so can share it, whatever is around it."""
    return _app_of(one) == _app_of(other)


def _app_of(mount: Mount) -> tuple[Any, ...]:
    return mount.key, mount.app, mount.args, mount.config, mount.factory, mount.on_start, mount.on_stop


def _load(site: Config, mount: Mount) -> MountedApp:
    try:
        with loadguard.protected(site.site.root) as undone:
            on_start, on_stop = _hook("on_start", mount.on_start), _hook("on_stop", mount.on_stop)
            app = loader.load_app(mount.app, args=mount.args, config=mount.config, factory=mount.factory)
    except LoadError as error:
        return _failed(site, mount, error)
    if undone:
        _log.warning("%s", harm(site, mount, undone))
    return MountedApp(mount, app, app, None, on_start, on_stop, tuple(undone))


def harm(site: Config, mount: Mount, undone: Iterable[str]) -> Problem:
    """What loading the app of `mount` did to the whole process, and was undone."""
    what = f"loading {mount.app!r} changed {', '.join(undone)}, which belongs to the whole process; it was put back"
    return site.problem((*mount.path, "app"), what)


def _hook(name: str, text: str | None) -> Hook | None:
    if text is None:
        return None
    try:
        found = loader.load_object(text)
    except LoadError as error:
        raise LoadError(Problem(problem.what, name) for problem in error.problems) from error.__cause__
    if not callable(found):
        raise LoadError(Problem(f"{text!r} is not callable; name a function that takes the app", name))
    return cast(Hook, found)


def _failed(site: Config, mount: Mount, error: LoadError) -> MountedApp:
    """The mount that answers 503, with the problems of `error` at their places in the file."""
    placed = LoadError(site.problem((*mount.path, problem.path), problem.what) for problem in error.problems)
    placed.__cause__ = error.__cause__
    return MountedApp(mount, None, unavailable, placed)


def _wrap_mount(one: MountedApp, wraps: Iterable[Wrap]) -> MountedApp:
    app = one.wrapped
    isolation.isolate(one.app, parse_key(one.mount.key))
    for found in flaskstatic.static_folders(one.app, one.mount.static):
        if Path(found.folder).is_dir():
            app = Static(app, url=found.url, root=found.folder, max_age=found.max_age)
    return replace(one, wrapped=Guard(_fold(app, wraps)))


def unavailable(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The answer of a mount whose app could not be loaded: 503, and the reason only in the log."""
    headers = [("Cache-Control", "no-store"), ("Retry-After", str(_RETRY_AFTER_SECONDS))]
    return respond(environ, start_response, 503, headers=headers)
