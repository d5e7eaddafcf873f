"""`server:` → gunicorn's settings under gunicorn's own names, checked by gunicorn's own validators.

Relative paths start at the folder of the config file, also in ``bind: unix:run/site.sock``. `read_server` looks at
what is written alone; `find_obstacles` looks whether a server could start with it here and now.
"""

from __future__ import annotations

import importlib.util
import re
import stat
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gunicorn import util
from gunicorn.config import KNOWN_SETTINGS, validate_group, validate_user
from gunicorn.config import Config as GunicornConfig
from gunicorn.workers import SUPPORTED_WORKERS

from dispatcher.fields import below
from dispatcher.suggestions import suggest
from dispatcher.validation.mistakes import Mistake
from dispatcher.validation.wording import got

_SECTIONS_OF_CODE: Final = ("Server Hooks", "Dirty Arbiter Hooks")
_RELOAD: Final = "edits of this file go live by 'reload:' at its top level, remove this line"
_REFUSED: Final[Mapping[str, str]] = {
    "config": "this file is the configuration, remove this line",
    "wsgi_app": "the app is made from 'mounts:', remove this line",
    "default_proc_name": "write 'proc_name' instead",
    "pythonpath": "code is found in the folder of this file; put it there, or set PYTHONPATH",
    "paste": "the app is made from 'mounts:', remove this line",
    "raw_paste_global_conf": "the app is made from 'mounts:', remove this line",
    "check_config": "run 'dispatcher check' instead",
    "print_config": "run 'dispatcher check' instead",
    "reload": _RELOAD,
    "reload_engine": _RELOAD,
    "reload_extra_files": _RELOAD,
    "ssl_version": "gunicorn ignores this setting, remove it",
}
_PATHS: Final = (
    *("accesslog", "errorlog", "chdir", "pidfile", "worker_tmp_dir", "tmp_upload_dir", "control_socket"),
    *("keyfile", "certfile", "ca_certs", "logconfig", "logconfig_json"),
)
_OF_TEXT: Final = (
    *("validate_string", "validate_chdir", "validate_class", "validate_statsd_address"),
    *("validate_string_to_addr_list", "validate_string_to_list"),
)
_FILES: Final = ("certfile", "keyfile", "ca_certs", "logconfig", "logconfig_json")  # that are read
_MADE: Final = ("pidfile", "errorlog", "accesslog")  # that are made in a folder, and the folder is not
_FOLDERS: Final = ("worker_tmp_dir", "tmp_upload_dir")
_CLASSES: Final = {"worker_class": "gunicorn.workers", "logger_class": "gunicorn.loggers"}
_PACKAGES: Final = {"gevent": "gevent", "gevent_wsgi": "gevent", "gevent_pywsgi": "gevent", "tornado": "tornado"}
_LONGEST_SOCKET: Final = 107  # bytes, sun_path in unix(7) without its end
_KNOWN: Final = {setting.name: setting for setting in KNOWN_SETTINGS}


def read_server(settings: Mapping[str, Any], *, root: Path) -> tuple[dict[str, Any], list[Mistake]]:
    """The settings with their paths made absolute, and what is wrong with them; paths are below ``server``."""
    read: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    gunicorn = GunicornConfig()
    for name, value in islice(settings.items(), len(_KNOWN)):  # more of them than there are, are wrong already
        if reason := _why_refused(name):
            mistakes.append(Mistake((name,), reason, key=True))
            continue
        try:
            read[name] = _absolute(name, value, root)
            _check(gunicorn, name, read[name])
        except ValueError as error:
            mistakes.append(Mistake((name,), str(error)))
    return read, mistakes


def environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """The variables that gunicorn's workers find in their environment by `raw_env`."""
    raw = settings.get("raw_env", ())
    return dict(one.split("=", 1) for one in ([raw] if isinstance(raw, str) else raw))


def identity(settings: Mapping[str, Any]) -> tuple[int, int, bool]:
    """User and group of the workers, and whether they have the further groups of the user."""
    uid, gid = validate_user(settings.get("user")), validate_group(settings.get("group"))
    return uid, gid, settings.get("initgroups", False)


def find_obstacles(settings: Mapping[str, Any]) -> list[Mistake]:
    """What would stop a server with these settings, as `read_server` gives them: files, folders and classes that are
    not there. Classes of the site's own code are imported, as gunicorn does in its master."""
    found = [Mistake((name,), what) for name, value in settings.items() if (what := _obstacle(name, value))]
    bind = settings.get("bind", ())
    for index, address in enumerate([bind] if isinstance(bind, str) else bind):
        if what := _socket_obstacle(address):
            found.append(Mistake(("bind",) if isinstance(bind, str) else ("bind", index), what))
    return found


def _obstacle(name: str, value: Any) -> str:
    if name in _CLASSES:
        return _class_obstacle(name, value)
    if not isinstance(value, str) or value == "-":
        return ""
    if name in _FILES and _mode(Path(value)) is None:
        return f"there is no file {value}"
    if name in _FOLDERS and not _is_folder(Path(value)):
        return f"there is no folder {value}; make it"
    if name in _MADE:
        return _place_obstacle(Path(value))
    return ""


def _place_obstacle(path: Path) -> str:
    """Why no file can be made there."""
    if not _is_folder(path.parent):
        return f"there is no folder {path.parent}; make it, because gunicorn does not"
    return f"{path} is a folder, name a file in it" if _mode(path) == stat.S_IFDIR else ""


def _socket_obstacle(address: str) -> str:
    if not address.startswith("unix:/"):
        return ""
    path = Path(address.removeprefix("unix:"))
    if len(bytes(path)) > _LONGEST_SOCKET:
        return f"the path of a socket has at most {_LONGEST_SOCKET} bytes, and {path} has {len(bytes(path))}"
    return _place_obstacle(path)


def _is_folder(path: Path) -> bool:
    return _mode(path) in (stat.S_IFDIR, 0)


def _mode(path: Path) -> int | None:
    """The kind of file that `path` is, None if there is none, 0 if this user may not know; a server may be started by
    another."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return 0


def _class_obstacle(name: str, text: str) -> str:
    package = _PACKAGES.get(text, "")
    if package and importlib.util.find_spec(package) is None:
        return f"{text!r} needs the package {package!r}, install it"
    if package or (name == "logger_class" and text == "simple"):
        return ""
    try:
        util.load_class(text, section=_CLASSES[name])
    except Exception as error:  # noqa: BLE001  # an import may raise anything, and gunicorn wraps that in a traceback
        why = str(error).rstrip(" \n]").rpartition("\n")[2]
        return f"no class can be loaded from {text!r}: {why}"
    return ""


def _why_refused(name: str) -> str:
    known = _KNOWN.get(name)
    if known is None:
        names = [known for known, setting in _KNOWN.items() if not _is_code(setting) and known not in _REFUSED]
        return "no setting of gunicorn" + suggest(name, names, many="see https://gunicorn.org/reference/settings/")
    if _is_code(known):
        return "a hook is code and cannot stand in YAML, write it into gunicorn.conf.py"
    return _REFUSED.get(name, "")


def _is_code(setting: Any) -> bool:
    return setting.section in _SECTIONS_OF_CODE


def _absolute(name: str, value: Any, root: Path) -> Any:
    if name == "bind":
        return [_bind(one, root) for one in value] if isinstance(value, list) else _bind(value, root)
    if name in _PATHS and isinstance(value, str) and value != "-":
        return str(below(root, value))
    return value


def _bind(value: Any, root: Path) -> Any:
    if isinstance(value, str) and value.startswith("unix:"):
        # gunicorn takes unix://run/x for the relative path run/x as well
        return f"unix:{below(root, value.removeprefix('unix:').removeprefix('//'))}"
    return value


def _check(gunicorn: GunicornConfig, name: str, value: Any) -> None:
    _check_type(_KNOWN[name], value)
    if name == "bind":
        for address in [value] if isinstance(value, str) else value:
            _check_address(address)
    if name == "worker_class":
        _check_worker_class(value)
    if name == "raw_env":
        _check_variables(value)
    try:
        gunicorn.set(name, value)
    except Exception as error:  # noqa: BLE001  # whatever a validator of gunicorn raises is its message
        raise ValueError(f"gunicorn does not take it: {str(error).strip()}") from None


def _check_type(setting: Any, value: Any) -> None:
    """gunicorn's validators also take text for a number and a truth value for both; a typing error is not a choice."""
    validator = setting.validator.__name__
    if value is None:
        raise ValueError("no value; write one, or remove the line to keep gunicorn's own")
    if setting.type is not None and type(value) is not int:
        raise ValueError(f"expected a whole number, got {_number_meant(value)}")
    if setting.type is not None and value < 0:
        raise ValueError(f"expected 0 or more, got {value}")
    if validator == "validate_bool" and not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {got(value, ('true or false',))}")
    if setting.name == "bind" and type(value) is int:
        raise ValueError(f"a port stands after its host, write 127.0.0.1:{value}")
    if validator == "validate_list_string" and not _is_text_or_list_of_it(value):
        raise ValueError(f"expected text or a list of texts, got {got(value, ('text',))}")
    if validator in _OF_TEXT and not isinstance(value, str):
        raise ValueError(f"expected text, got {got(value, ('text',))}")


def _number_meant(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch("0[0-7]+", value):
        return f"{value!r}; an octal number is written 0o{value.lstrip('0')}"
    return got(value, ("a whole number",))


def _is_text_or_list_of_it(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _check_worker_class(name: str) -> None:
    if name == "asgi":
        raise ValueError("this class of workers serves ASGI apps, and a site is a WSGI app; write gthread")
    if "." not in name and ":" not in name and name not in SUPPORTED_WORKERS:
        names = [known for known in SUPPORTED_WORKERS if known != "asgi"]
        raise ValueError(f"no worker class{suggest(name, names, also='or write package.module.Class')}")


def _check_variables(value: Any) -> None:
    for one in [value] if isinstance(value, str) else value:
        if "=" not in one.lstrip("="):
            raise ValueError(f"expected NAME=value, got {one!r}")


def _check_address(address: str) -> None:
    if address.isdecimal():  # gunicorn takes it for a host
        raise ValueError(f"a port stands after its host, write 127.0.0.1:{address}")
    try:
        parsed = util.parse_address(address or "?:?")  # gunicorn takes nothing for every host
    except (RuntimeError, ValueError):
        raise ValueError(f"{address!r} is no address; write one such as 127.0.0.1:8000 or unix:run/site.sock") from None
    if isinstance(parsed, tuple) and not 0 <= parsed[1] <= 65535:
        raise ValueError(f"the port of {address!r} is out of range; write one up to 65535")
