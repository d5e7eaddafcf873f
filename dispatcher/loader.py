"""Import string → object, and object → WSGI app: the one place where code that the config names is imported.

How an app is told from a factory, in this order:

1. ``factory: true`` or ``factory: false`` decides.
2. ``create_app("x")``, and a mount with ``args:``, call what is named: it is a factory.
3. An object that is neither a function (or a `functools.partial` of one) nor a class (a `Flask` object, say) is an app.
4. A class is a factory: its instance is the app.
5. A function that takes two positional arguments without defaults is an app, as PEP 3333 has it:
   ``(environ, start_response)``. A function without required arguments is a factory. Where only ``*args`` tells (a
   decorator without `functools.wraps`), `factory:` has to say it.

Every failure is a `LoadError` whose problem has the path ``app``, ``args`` or ``config``: the field to blame.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

from flask import Flask

from dispatcher.blame import is_servers
from dispatcher.errors import LoadError, Problem
from dispatcher.importstring import ImportString, parse
from dispatcher.wsgi import WSGIApplication


def add_import_path(folder: Path) -> None:
    """Put the folder of the config first on the import path, once."""
    text = str(folder)
    if text not in sys.path:
        sys.path.insert(0, text)
    importlib.invalidate_caches()


def load_app(
    text: str,
    *,
    args: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    factory: bool | None = None,
) -> WSGIApplication:
    """The WSGI app that `text` names.

    `args` are keyword arguments for a factory. `config` goes into the `config` of a Flask app; a factory with a
    parameter of that name gets it as well, for what it has to know while it builds the app.
    """
    target = parse(text)
    found = _resolve(target)
    arguments = dict(args or {})
    if target.call is not None or _is_factory(target, found, args=arguments, factory=factory):
        app = _call_factory(target, found, arguments, config or {})
    else:
        app = found
    _check_app(target, app, called=app is not found)
    if config:
        _configure(target, app, found, config)
    return cast(WSGIApplication, app)


def load_object(text: str) -> Any:
    """The object that `text` names, not called: a middleware class, a key function."""
    target = parse(text)
    if target.call is not None:
        raise _error(f"{text!r} is a call; name the class or function itself, without parentheses")
    return _resolve(target)


def _error(what: str, path: str = "app") -> LoadError:
    return LoadError(Problem(what, path))


def _resolve(target: ImportString) -> Any:
    found: Any = _import(target.module)
    where = f"module {target.module!r}"
    for name in target.attributes:
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _error(f"{where} has no attribute {name!r}{_suggest(name, _public_names(found))}") from None
        except Exception as error:  # a module may make its attributes on demand (PEP 562)
            raise _error(f"{where} raised {_describe(error)} for its attribute {name!r}") from error
        where = repr(f"{target.module}:{name}")
    return found


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None:  # raised by hand
            raise _error(f"importing {name!r} raised {_describe(error)}") from error
        if name == error.name or name.startswith(f"{error.name}."):
            raise _error(f"no module {error.name!r}{_suggest_module(error.name)}; {_SEARCHED}") from None
        raise _error(
            f"{name!r} imports {error.name!r}, and there is no such module; install it or mend the import"
        ) from error
    except SyntaxError as error:
        raise _error(f"{name!r} has a syntax error at {error.filename}:{error.lineno}: {error.msg}") from error
    except BaseException as error:
        if is_servers(error):
            raise
        if isinstance(error, SystemExit):
            what = f"importing {name!r} called sys.exit({error.code!r}); move that below a __main__ guard"
            raise _error(what) from error
        raise _error(f"importing {name!r} raised {_describe(error)}") from error


_SEARCHED: Final = "looked in the folder of the config and in the installed packages"


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _suggest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else ""


def _public_names(found: object) -> list[str]:
    return [name for name in dir(found) if not name.startswith("_")]


def _suggest_module(name: str) -> str:
    """A sibling of the missing module, from what lies beside it; nothing is imported for that."""
    parent, _, last = name.rpartition(".")
    roots = list(getattr(sys.modules.get(parent), "__path__", ())) if parent else sys.path[:1]
    names = {path.stem for root in roots for path in Path(root or ".").glob("*") if _is_module(path)}
    close = difflib.get_close_matches(last, sorted(names), n=1, cutoff=0.6)
    return f", did you mean {f'{parent}.{close[0]}' if parent else close[0]!r}?" if close else ""


def _is_module(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").is_file()


def _is_factory(target: ImportString, found: Any, *, args: Mapping[str, Any], factory: bool | None) -> bool:
    if not callable(found):
        raise _error(f"'{target}' is {_article(found)}, neither a WSGI app nor a factory; name a callable")
    if factory is not None:
        return factory
    if args or inspect.isclass(found):
        return True
    if not inspect.isroutine(found) and not isinstance(found, functools.partial):
        return False
    return _routine_is_factory(target, found)


def _routine_is_factory(target: ImportString, found: Callable[..., Any]) -> bool:
    parameters = _parameters(found)
    kinds = inspect.Parameter
    required = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    starred = any(p.kind is kinds.VAR_POSITIONAL for p in parameters)
    if len(required) == 2 and not any(p.kind is kinds.KEYWORD_ONLY and p.name in required for p in parameters):
        return False
    if not required and not starred:
        return True
    if not required or starred:
        raise _error(
            f"cannot tell whether '{target}' is a WSGI app or a factory; say 'factory: true' or 'factory: false'"
        )
    missing = ", ".join(repr(name) for name in required)
    raise _error(f"the factory '{target}' needs {missing}; give it in 'args:'")


def _parameters(found: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):  # a C function without a signature: taken for an app
        return [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("environ", "start_response")]


def _call_factory(target: ImportString, found: Any, args: dict[str, Any], config: Mapping[str, Any]) -> Any:
    if not callable(found):
        raise _error(f"'{target}' is {_article(found)}, not a factory; name a callable")
    positional, keyword = target.call or ((), {})
    if twice := sorted(set(keyword) & set(args)):
        raise _error(f"{twice[0]!r} is given in the call and in 'args:'; leave one out", "args")
    arguments = {**keyword, **args}
    if config and "config" not in arguments and _takes(found, "config"):
        arguments["config"] = dict(config)
    try:
        inspect.signature(found).bind(*positional, **arguments)
    except TypeError as error:
        raise _error(f"'{target}' cannot be called so: {error}", "args" if args else "app") from None
    except ValueError:
        pass  # no signature to check against: the call itself tells
    try:
        return found(*positional, **arguments)
    except BaseException as error:
        if is_servers(error):
            raise
        if isinstance(error, SystemExit):
            raise _error(f"calling '{target}' ended in sys.exit({error.code!r})") from error
        raise _error(f"calling '{target}' raised {_describe(error)}") from error


def _takes(found: Callable[..., Any], name: str) -> bool:
    return any(p.name == name and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in _parameters(found))


def _check_app(target: ImportString, app: Any, *, called: bool) -> None:
    subject = f"the factory '{target}' returned {_article(app)}" if called else f"'{target}' is {_article(app)}"
    if not callable(app):
        raise _error(f"{subject}, not a WSGI app; " + ("return the app" if called else "name a callable"))
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        raise _error(f"{subject}: an ASGI app, which WSGI cannot call; wrap it in a2wsgi.ASGIMiddleware")


def _article(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _configure(target: ImportString, app: Any, found: Any, config: Mapping[str, Any]) -> None:
    if isinstance(app, Flask):
        app.config.update(config)
    elif not (app is not found and _takes(found, "config")):
        raise _error(f"'config:' is for Flask apps, and '{target}' gives {_article(app)}; use 'args:'", "config")
