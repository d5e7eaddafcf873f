"""One YAML file turns several WSGI apps into one site.

``dispatcher.app`` is the site of `DISPATCHER_CONFIG` or ``config.yaml``, for a server: ``gunicorn dispatcher:app``. It
is built on first access (PEP 562): importing the package reads no file. `create_app` builds the site of a given file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dispatcher.version import __version__

if TYPE_CHECKING:
    from dispatcher.compose import create_app
    from dispatcher.errors import ConfigError, DispatcherError, LoadError
    from dispatcher.live import Live

    app: Live

__all__ = ["ConfigError", "DispatcherError", "LoadError", "__version__", "app", "create_app"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and only then; `app` is made once."""
    if name == "app":
        from dispatcher.server import load_stack

        globals()["app"] = load_stack()
    elif name == "create_app":
        from dispatcher.compose import create_app

        globals()["create_app"] = create_app
    elif name in __all__:
        from dispatcher import errors

        globals()[name] = getattr(errors, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]
