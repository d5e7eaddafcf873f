"""What happens to a mount in each worker before its first request there, and after its last: hooks and a warm request.

``on_start`` and ``on_stop`` are called with the app, and ``warm`` is requested through the mount's own middleware, with
the user agent ``dispatcher-warm``; the middleware of the site does not see it. Each has `load_timeout` for it, in a
thread of its own. What goes wrong is logged, and disables nothing.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Callable
from typing import Final

from dispatcher.compose import Hook, MountedApp, Stack
from dispatcher.mounts import parse_key
from dispatcher.wsgi import MOUNT, STACK, ExcInfo, Headers, Write, WSGIEnvironment, current_environ

_log: Final = logging.getLogger("dispatcher")


def start(stack: Stack, one: MountedApp) -> None:
    """Call the mount's ``on_start``, then request its ``warm`` path."""
    _call(stack, one, "on_start", one.on_start)
    if one.app is not None and one.mount.warm is not None:
        _bounded(stack, one, f"warm: {one.mount.warm}", lambda: _warm(stack, one))


def stop(stack: Stack, one: MountedApp) -> None:
    """Call the mount's ``on_stop``."""
    _call(stack, one, "on_stop", one.on_stop)


def _call(stack: Stack, one: MountedApp, name: str, hook: Hook | None) -> None:
    app = one.app
    if hook is not None and app is not None:
        _bounded(stack, one, name, lambda: hook(app))


def _bounded(stack: Stack, one: MountedApp, what: str, work: Callable[[], object]) -> None:
    seconds = one.mount.load_timeout or stack.config.load_timeout
    path = ".".join(map(str, one.mount.path))

    def run() -> None:
        try:
            work()
        except BaseException:  # noqa: BLE001  # an app's SystemExit ends this thread and nothing else
            _log.exception("%s: %s failed", path, what)

    thread = threading.Thread(target=run, name=f"dispatcher {what}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        _log.error("%s: %s has not ended after load_timeout (%gs); it is not waited for", path, what, seconds)


def _warm(stack: Stack, one: MountedApp) -> None:
    statuses: list[str] = []

    def start_response(status: str, _: Headers, __: ExcInfo | None = None, /) -> Write:
        statuses.append(status)
        return lambda _: None

    environ = _environ(stack, one)
    current_environ.set(environ)  # of this thread: what the app logs now has the name of its mount
    body = one.wrapped(environ, start_response)
    try:
        for _ in body:
            pass
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    if not statuses or statuses[-1].startswith("5"):
        answer = statuses[-1] if statuses else "nothing"
        _log.warning("%s: warm: %s answered %s", ".".join(map(str, one.mount.path)), one.mount.warm, answer)


def _environ(stack: Stack, one: MountedApp) -> WSGIEnvironment:
    key = parse_key(one.mount.key)
    path, _, query = (one.mount.warm or "/").partition("?")
    host = key.host.replace("*", "warm") or "localhost"
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": key.wsgi_prefix,
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": host,
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": host,
        "HTTP_USER_AGENT": "dispatcher-warm",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        MOUNT: one.mount.key,
        STACK: stack,
    }
