"""`server:` → gunicorn's settings under gunicorn's own names, checked by gunicorn's own validators.

Relative paths start at the folder of the config file, also in ``bind: unix:run/site.sock``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gunicorn import util
from gunicorn.config import KNOWN_SETTINGS
from gunicorn.config import Config as GunicornConfig

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


def _check_address(address: str) -> None:
    if address.isdecimal():  # gunicorn takes it for a host
        raise ValueError(f"a port stands after its host, write 127.0.0.1:{address}")
    try:
        parsed = util.parse_address(address or "?:?")  # gunicorn takes nothing for every host
    except (RuntimeError, ValueError):
        raise ValueError(f"{address!r} is no address; write one such as 127.0.0.1:8000 or unix:run/site.sock") from None
    if isinstance(parsed, tuple) and not 0 <= parsed[1] <= 65535:
        raise ValueError(f"the port of {address!r} is out of range; write one up to 65535")
