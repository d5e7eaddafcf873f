"""`read(path) -> Config`: what `config.yaml` says as frozen data, or every problem in it at once.

Only the file (and the `.env` beside it) is read. Nothing that it names is imported or opened, and nothing is made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from dispatcher import importstring, mounts, runtime, serversettings
from dispatcher.errors import ConfigError, Place, Problem
from dispatcher.fields import Site
from dispatcher.sections import File, Logging, MountOptions, Reload
from dispatcher.suggestions import suggest
from dispatcher.validation.mistakes import Mistake, Model, validate
from dispatcher.validation.wording import got
from dispatcher.yamlfile.document import MAX_PROBLEMS, Document, YAMLPath
from dispatcher.yamlfile.text import decode, read_bytes
from dispatcher.yamlfile.variables import Variables, read_dotenv

__all__ = [
    "Config",
    "Contents",
    "Logging",
    "MiddlewareSpec",
    "Mount",
    "Reload",
    "env_file",
    "read",
    "read_contents",
    "read_options",
]

MAX_MIDDLEWARE: Final = 100  # in one list; Python ends at 1,000 calls inside each other


@dataclass(frozen=True, slots=True)
class MiddlewareSpec:
    """One entry of a `middleware:` list: a built-in `name` with checked options, or an import string with raw ones."""

    name: str
    options: Mapping[str, Any]
    path: YAMLPath


@dataclass(frozen=True, slots=True)
class Mount:
    """One entry of `mounts:`: the normalised `key`, the import string of its `app`, and what only this mount gets."""

    key: str
    app: str
    path: YAMLPath
    args: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    middleware: tuple[MiddlewareSpec, ...] = ()
    factory: bool | None = None
    static: bool | None = None
    load_timeout: float | None = None
    warm: str | None = None
    on_start: str | None = None
    on_stop: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """The bytes of a config file and of the `.env` beside it, which may be missing."""

    config: bytes
    env: bytes | None = None

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that name this very content."""
        whole = blake2b(b"%d:" % len(self.config) + self.config, digest_size=6)
        whole.update(b"" if self.env is None else b"." + self.env)
        return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class Config:
    """What one config file says; `file` is absolute, and `env` what the `.env` beside it sets (not `os.environ`)."""

    file: Path
    site: Site
    server: Mapping[str, Any]
    reload: Reload | None
    load_timeout: float
    logging: Logging | None
    strict: bool
    middleware: tuple[MiddlewareSpec, ...]
    mounts: tuple[Mount, ...]
    env: Mapping[str, str] = field(repr=False)
    document: Document = field(repr=False, compare=False)

    def problem(self, path: YAMLPath, what: str, *, key: bool = False) -> Problem:
        """A problem at the place of the value at `path`, such as ``("mounts", "/todos", "app")``, or of its key."""
        return self.document.problem(path, what, key=key)


def env_file(file: str | Path) -> Path:
    """The `.env` beside the config file."""
    return Path(file).with_name(".env")


def read_contents(file: str | Path) -> Contents:
    """The bytes of `file` and of the `.env` beside it; ConfigError when one of them cannot be read."""
    data, env = read_bytes(file), env_file(file)
    if env.is_dir() and not (env / "pyvenv.cfg").exists():  # some call their virtual environment .env
        what = "this is a folder, and would hold variables; put a file in its place, or remove it"
        raise ConfigError(Problem(what, place=Place(str(env), 0, 0)))
    return Contents(data, read_bytes(env) if env.exists() and not env.is_dir() else None)


def read(
    file: str | Path,
    *,
    options: Mapping[str, type[BaseModel]] | None = None,
    environ: Mapping[str, str] | None = None,
    contents: Contents | None = None,
    runtime_folder: Path | None = None,
) -> Config:
    """The config in `file`; ConfigError with every problem in it, sorted by place.

    `options` maps the name of each built-in middleware to the model of its options. `environ` is where ``${VAR}`` is
    looked up, `os.environ` by default; the `.env` beside the file gives what it does not. `contents` are taken for
    what the files hold, and the files are not opened. `runtime_folder` takes the place of the folder in which the
    processes of the site meet, for who builds the site and does not serve it.
    """
    environ = os.environ if environ is None else environ
    contents = read_contents(file) if contents is None else contents
    source = decode(file, contents.config)
    path = Path(file).absolute()
    site = Site(root=path.parent, runtime=runtime_folder or runtime.site_folder(path))
    env, problems = _read_env(env_file(file), contents.env, environ)
    document = Document(source, expand=Variables(environ, env).expand)
    reader = _Reader(document, site, options or {})
    core = reader.section(File, (), _without_extensions(document.data)) or File()
    config = Config(
        file=path,
        site=site,
        server=reader.server(document.data.get("server")),
        reload=_reload(core.reload),
        load_timeout=core.load_timeout,
        logging=core.logging,
        strict=core.strict,
        middleware=reader.middleware(("middleware",), document.data.get("middleware")),
        mounts=reader.mounts(document.data.get("mounts")),
        env=env,
        document=document,
    )
    if problems or document.problems or reader.problems:
        raise ConfigError([*problems, *_sorted([*document.problems, *reader.problems])])
    if document.data.get("mounts") is None:
        raise ConfigError(_without_mounts(document, file))
    return config


def read_options(config: Config, spec: MiddlewareSpec, model: type[BaseModel]) -> Mapping[str, Any]:
    """The raw options of `spec` as `model` reads them; ConfigError with every mistake at its place."""
    found, mistakes = validate(model, spec.options, site=config.site)
    if found is None:
        path = (*spec.path, spec.name)
        raise ConfigError(config.problem((*path, *one.path), one.what, key=one.key) for one in mistakes)
    return dict(found)


def _read_env(file: Path, data: bytes | None, environ: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    return ({}, []) if data is None else read_dotenv(decode(file, data), environ)


def _without_mounts(document: Document, file: str | Path) -> Problem:
    """A file that was cut short must not pass for a site that has no apps."""
    what = "missing; write below it which app answers where, or 'mounts: {}' for a site without apps"
    if "mounts" in document.data:
        return document.problem(("mounts",), what)
    return Problem(what, "mounts", Place(str(file), 0, 0))


def _without_extensions(data: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of the file; keys that start with ``x-`` hold what anchors are put on."""
    return {key: value for key, value in data.items() if not key.startswith("x-")}


def _reload(value: Reload | bool | None) -> Reload | None:
    if value is False:
        return None
    return value if isinstance(value, Reload) else Reload()


def _sorted(problems: list[Problem]) -> list[Problem]:
    """By place, and no more of them than anybody reads."""
    problems.sort(key=lambda problem: (problem.place.line, problem.place.column) if problem.place else (0, 0))
    if len(problems) <= MAX_PROBLEMS:
        return problems
    return [
        *problems[:MAX_PROBLEMS],
        Problem(f"{MAX_PROBLEMS} problems are shown, there are more; put these right first"),
    ]


def _mount_of(key: str, path: YAMLPath, found: MountOptions, middleware: tuple[MiddlewareSpec, ...]) -> Mount:
    given = dict(found)  # the fields of a mount bear the names of the keys
    args, config = given.pop("args") or {}, given.pop("config") or {}
    return Mount(key=key, path=path, **{**given, "args": args, "config": config, "middleware": middleware})


class _Reader:
    """Reads the parts of one document and collects the problems of all of them."""

    def __init__(self, document: Document, site: Site, options: Mapping[str, type[BaseModel]]) -> None:
        self.document = document
        self.site = site
        self.options = options
        self.problems: list[Problem] = []
        self._without_value = {problem.place for problem in document.problems}  # they are complained of already

    def report(self, path: YAMLPath, what: str, *, key: bool = False) -> None:
        problem = self.document.problem(path, what, key=key)
        if problem.place not in self._without_value:
            self.problems.append(problem)

    @property
    def _is_full(self) -> bool:
        return len(self.problems) >= MAX_PROBLEMS

    def _report_mistakes(self, path: YAMLPath, mistakes: list[Mistake]) -> None:
        for mistake in mistakes:
            self.report((*path, *mistake.path), mistake.what, key=mistake.key)

    def section(self, model: type[Model], path: YAMLPath, data: Mapping[str, Any]) -> Model | None:
        found, mistakes = validate(model, data, site=self.site)
        self._report_mistakes(path, mistakes)
        return found

    def server(self, data: Any) -> Mapping[str, Any]:
        settings, mistakes = serversettings.read_server(data if isinstance(data, dict) else {}, root=self.site.root)
        self._report_mistakes(("server",), mistakes)
        return settings

    def middleware(self, path: YAMLPath, data: Any) -> tuple[MiddlewareSpec, ...]:
        entries = data if isinstance(data, list) else []
        if len(entries) > MAX_MIDDLEWARE:
            self.report(
                path, f"more than {MAX_MIDDLEWARE} entries, and each is a call inside a call; use fewer", key=True
            )
            return ()
        specs = (self._entry((*path, index), entry) for index, entry in enumerate(entries) if not self._is_full)
        return tuple(spec for spec in specs if spec is not None)

    def _entry(self, path: YAMLPath, entry: Any) -> MiddlewareSpec | None:
        if isinstance(entry, dict) and len(entry) > 1:
            first, second = list(entry)[:2]
            what = f"an entry has one name, got {first!r} and {second!r}; indent the options below {first + ':'!r}"
            self.report((*path, second), what, key=True)
            return None
        name, options = next(iter(entry.items()), ("", None)) if isinstance(entry, dict) else (entry, None)
        if not isinstance(name, str) or not name:
            self.report(path, "expected a name such as request_id, or a name with options below it")
            return None
        if options is not None and not isinstance(options, dict):
            self.report((*path, name), f"expected options as a mapping, got {got(options)}")
            return None
        return self._spec(path, name, options or {})

    def _spec(self, path: YAMLPath, name: str, options: Mapping[str, Any]) -> MiddlewareSpec | None:
        if name in self.options:
            found = self.section(self.options[name], (*path, name), options)
            return None if found is None else MiddlewareSpec(name, dict(found), path)
        if ":" not in name:
            way_out = suggest(name, self.options, also="or name a class of yours as 'package.module:Class'")
            self.report(path, f"unknown middleware{way_out}")
            return None
        return MiddlewareSpec(name, options, path) if self._is_import_string(path, name) else None

    def _is_import_string(self, path: YAMLPath, text: str) -> bool:
        try:
            importstring.parse(text)
        except ValueError as error:
            self.report(path, str(error))
            return False
        return True

    def mounts(self, data: Any) -> tuple[Mount, ...]:
        entries = data if isinstance(data, dict) else {}
        keys = self._mount_keys(list(entries))
        found = (self._mount(keys[text], text, value) for text, value in entries.items() if not self._is_full)
        return tuple(mount for mount in found if mount is not None)

    def _mount_keys(self, texts: list[str]) -> dict[str, str]:
        """Key as written → key as the mount table knows it, or as written if it is wrong."""
        keys: dict[str, str] = {}
        first: dict[str, str] = {}
        for text in texts:
            path = ("mounts", text)
            try:
                keys[text] = str(mounts.parse_key(text))
            except ValueError as error:
                keys[text] = text
                self.report(path, str(error), key=True)
                continue
            other = first.setdefault(keys[text], text)
            if other != text:
                line = self.document.place(("mounts", other), key=True).line
                self.report(path, f"the same mount as {other!r} in line {line}; keep one of them", key=True)
        return keys

    def _mount(self, key: str, text: str, value: Any) -> Mount | None:
        path = ("mounts", text)
        if isinstance(value, str):
            return Mount(key, value, path) if self._is_import_string(path, value) else None
        if not isinstance(value, dict):
            what = f"expected an app as 'package.module:attribute', or 'app:' and more below it, got {got(value)}"
            self.report(path, what)
            return None
        found = self.section(MountOptions, path, value)
        middleware = self.middleware((*path, "middleware"), value.get("middleware"))
        if isinstance(value.get("app"), str) and self._is_import_string((*path, "app"), value["app"]) and found:
            return _mount_of(key, path, found, middleware)
        return None
