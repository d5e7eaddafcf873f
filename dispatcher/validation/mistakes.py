"""Data → a pydantic model, or everything that is wrong with it in plain words: `Mistake`s with the path of each.

Types are meant as written: text is never taken for a number or a truth value, as pydantic does by default, because
`no` in a YAML file is text. Mistakes name the way out: the key that was probably meant, or what to write instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dispatcher.fields import Site
from dispatcher.suggestions import closest, suggest
from dispatcher.validation.wording import choices_of, expectation, got, other_wording

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_MOST: Final = 200  # more than anybody reads, and each costs a search for the key that was meant
_COERCED: Final = ("int_type", "float_type", "bool_type", "time_type", "date_type", "datetime_type", "time_delta_type")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with the value at `path`, or with its key."""

    path: Path
    what: str
    key: bool = False


def validate(model: type[Model], data: Mapping[str, Any], *, site: Site) -> tuple[Model | None, list[Mistake]]:
    """The model made from `data`, and no mistakes; or None and all of them."""
    context = {"site": site}
    details: list[ErrorDetails] = []
    found: Model | None = None
    try:
        found = model.model_validate(data, context=context)
    except ValidationError as error:
        details = error.errors(include_url=False)
    try:
        # Only what looks at the JSON types tells whether pydantic took text for a number; strict mode for Python
        # values would also refuse lists for tuples and text for paths.
        model.model_validate_json(json.dumps(data), strict=True, context=context)
    except ValidationError as error:
        known = {detail["loc"] for detail in details}
        strict = error.errors(include_url=False)
        details += [detail for detail in strict if detail["type"] in _COERCED and detail["loc"] not in known]
    mistakes = _mistakes(model, data, details)
    return (None if mistakes else found), mistakes


def _mistakes(model: type[BaseModel], data: Mapping[str, Any], details: Sequence[ErrorDetails]) -> list[Mistake]:
    by_path: dict[Path, list[ErrorDetails]] = {}
    for detail in details[:_MOST]:
        by_path.setdefault(_path_in(data, detail), []).append(detail)
    made = []
    for path, here in by_path.items():
        # Of a union the alternative that got furthest was meant; and wrong entries are not missing from a list.
        follows = any(len(detail["loc"]) > len(path) or detail["type"] == "too_short" for detail in here)
        deeper = any(other[: len(path)] == path and len(other) > len(path) for other in by_path)
        if not (follows and deeper):
            made.append(_mistake(model, path, here, _value_at(data, path)))
    return made


def _path_in(data: Any, detail: ErrorDetails) -> Path:
    """The location without the tags of unions and validators that pydantic puts into it."""
    path: list[str | int] = []
    here = data
    for step in detail["loc"]:
        if isinstance(here, Mapping) and step in here:
            here = here[str(step)]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            continue
        path.append(step)
    return (*path, detail["loc"][-1]) if detail["type"] == "missing" else tuple(path)


def _value_at(data: Any, path: Path) -> Any:
    """The value as the file has it, which a validator may have changed before another found it wrong."""
    for step in path:
        data = data.get(step) if isinstance(data, Mapping) else data[step]
    return data


def _mistake(model: type[BaseModel], path: Path, details: list[ErrorDetails], value: Any) -> Mistake:
    detail = details[0]
    match detail["type"]:
        case "missing":
            return Mistake(path, f"missing, write '{path[-1]}: …'", key=True)
        case "extra_forbidden":
            return Mistake(path, "unknown key" + suggest(str(path[-1]), _known_keys(model, path[:-1])), key=True)
    if "[key]" in detail["loc"]:
        return Mistake(path, f"this key is wrong: {_words(details, path[-1])}", key=True)
    return Mistake(path, _words(details, value))


def _words(details: list[ErrorDetails], value: Any) -> str:
    expected = [text for text in (expectation(detail) for detail in details) if text]
    if not expected:
        return other_wording(details[0])
    alternatives = list(dict.fromkeys(expected))
    choices = [name for detail in details if detail["type"] == "literal_error" for name in choices_of(detail)]
    meant = closest(value, choices) if isinstance(value, str) else ""
    return f"expected {' or '.join(alternatives)}, got {got(value, alternatives)}{meant}"


def _known_keys(model: type[BaseModel], path: Path) -> list[str]:
    models = [model]
    for step in path:
        fields = [found.model_fields[str(step)] for found in models if str(step) in found.model_fields]
        models = [inner for field in fields for inner in _models_in(field.annotation)] or models
    return [field.alias or name for found in models for name, field in found.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
