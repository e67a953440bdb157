"""How problems of values are worded: what pydantic found, as a message that says what should have been there."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from asymbp_cli.text import nearest, yaml_value

KeyPath = tuple[str | int, ...]
#: pydantic's error type -> what should have been there
_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "model_type": "a mapping",
}


def unknown_key(key: str, allowed: Sequence[str]) -> str:
    """Return what to say of a key that means nothing."""
    hint = nearest(key, allowed)
    return f"unknown key.{hint}" if hint else f"unknown key; allowed are {', '.join(allowed)}"


def explained(error: ValidationError, model: Any, data: Any) -> dict[KeyPath, str]:
    """Return one message per key path, leaving out what only says which member of a union was not meant.

    A value that is wrong inside, or of the right type with the wrong content, was meant as that member.
    """
    by_path: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        by_path.setdefault(_data_path(detail, data), []).append(detail)
    found = {}
    for path, details in by_path.items():
        inside = any(other[: len(path)] == path for other in by_path if other != path)
        content = [d for d in details if d["type"] not in _WANTED and not (inside and d["type"] == "too_short")]
        if content:
            found[path] = " or ".join(dict.fromkeys(_message(detail, model, path) for detail in content))
        elif not inside:
            wanted = " or ".join(dict.fromkeys(_WANTED[detail["type"]] for detail in details))
            found[path] = f"must be {wanted}, not {yaml_value(details[0]['input'])}"
    return found


def _data_path(detail: ErrorDetails, data: Any) -> KeyPath:
    """Return an error's location without the names of union members that pydantic adds."""
    path: list[str | int] = []
    for part in detail["loc"]:
        is_item = isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        if is_item or (isinstance(data, Mapping) and part in data):
            data = data[part]
            path.append(part)
    return (*path, detail["loc"][-1]) if detail["type"] == "missing" else tuple(path)


def _message(detail: ErrorDetails, model: Any, path: KeyPath) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]) if path else "", _fields_at(model, path[:-1]))
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        names = [name.strip("'") for name in re.split(r", | or ", str(context["expected"]))]
        return f"{yaml_value(value)} is not one of {', '.join(names)}.{nearest(str(value), names)}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    text = str(detail["msg"]).removeprefix("Input should ")
    return f"must {text}, not {yaml_value(value)}" if text.startswith("be ") else text


def _fields_at(model: Any, path: KeyPath) -> list[str]:
    """Return the keys of the models that `path` leads to inside `model`."""
    models = _models(model)
    for key in (part for part in path if isinstance(part, str)):
        fields = [found.model_fields[key] for found in models if key in found.model_fields]
        models = [inner for found in fields for inner in _models(found.annotation)]
    return [name for found in models for name in found.model_fields]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]
