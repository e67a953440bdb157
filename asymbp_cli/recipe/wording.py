"""The words for problems with values: what pydantic reports, as a message that says what is expected."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from asymbp_cli.recipe.letters import describe_odd_letter
from asymbp_cli.text import find_nearest, nearest, printable

KeyPath = tuple[str | int, ...]
_LONGEST = 80  # letters of a value in a message
_MOST_ERRORS = 200  # of a value; nobody reads more
_LARGEST = 10**18  # from here on YAML gives floats
_NOT_FINITE = re.compile(r"[-+]?\.?(inf|infinity|nan)", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
#: what YAML 1.1 takes for true or false, and other tools too
_SWITCHES = ("on", "off", "yes", "no", "y", "n", "true", "false")
#: pydantic's error type -> what is expected
_EXPECTED = {
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


def key_path(path: KeyPath) -> str:
    """Return `method[1].feedback` for ("method", 1, "feedback")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def find_value(data: Any, path: KeyPath) -> Any:
    """Return the value at a path in mappings and lists; None if there is none."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def quote(value: Any) -> str:
    """Return a value as a message quotes it; of long text the beginning."""
    if isinstance(value, str) and len(value) > _LONGEST:
        value = f"{value[:_LONGEST]}..."
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if printable(value) else ascii(value)
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else str(value)


def show(value: Any) -> str:
    """Return a value as YAML has it, if it is short."""
    if isinstance(value, list):
        text = f"[{', '.join(map(show, value))}]"
    else:
        text = "..." if value is None or isinstance(value, Mapping) else quote(value).strip('"')
    return text if len(text) <= 30 else "..."


def describe_no_label(value: Any) -> str:
    """Return the message for a title or label that is none."""
    text = quote(value)
    hint = f'. Put it into quotes: "{text}"' if isinstance(value, bool | int | float) else ""
    return f"must be text on one line, not {text}{hint}"


def describe_unknown_key(key: str, allowed: Sequence[str]) -> str:
    """Return the message for a key that means nothing."""
    if odd := describe_odd_letter(key):
        return f"the key {odd}"
    hint = nearest(key, allowed)
    return f"unknown key.{hint}" if hint else f"unknown key; allowed are {', '.join(allowed)}"


def explain_errors(error: ValidationError, model: Any, data: Any) -> dict[KeyPath, str]:
    """Return one message per key path, without those that only say which member of a union was not meant.

    A value that is wrong inside, or of the right type with the wrong content, was meant as that member.
    """
    by_path: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False)[:_MOST_ERRORS]:
        by_path.setdefault(_path_in_data(detail, data), []).append(detail)
    messages = {}
    meant = {_find_meant(detail, model, path) for path, details in by_path.items() for detail in details}
    for path, details in by_path.items():
        if path in meant and details[0]["type"] == "missing":
            continue
        is_wrong_inside = any(other[: len(path)] == path for other in by_path if other != path)
        if message := _explain(details, model, path, is_wrong_inside=is_wrong_inside):
            messages[path] = message
    return messages


def _explain(details: list[ErrorDetails], model: Any, path: KeyPath, *, is_wrong_inside: bool) -> str:
    """Return the message for all errors of one key path; empty if those further inside say enough."""
    says_more = is_wrong_inside or len(details) > 1  # a value that is wrong is not counted as one
    of_content = [
        detail
        for detail in details
        if detail["type"] not in _EXPECTED and not (says_more and detail["type"] == "too_short")
    ]
    if of_content:
        return " or ".join(dict.fromkeys(_message(detail, model, path) for detail in of_content))
    if is_wrong_inside:
        return ""
    keys = ", ".join(dict.fromkeys(_fields_at(model, path)))
    expected = " or ".join(dict.fromkeys(_describe_expected(detail["type"], keys) for detail in details))
    return f"must be {expected}, not {_describe_input(details[0]['input'], expected)}"


def _describe_expected(kind: str, keys: str) -> str:
    """Return the expected form of a value, for a kind of pydantic's errors. Its mappings have these keys."""
    expected = _EXPECTED[kind]
    if not keys or expected not in ("a mapping", "a list"):
        return expected
    return f"a mapping with {keys}" if expected == "a mapping" else f"a list of mappings with {keys}"


def _describe_input(value: Any, expected: str) -> str:
    """Return a value that is not what is expected, and what to write if one can tell."""
    text = quote(value)
    if isinstance(value, str) and value.lower() in _SWITCHES and "true or false" in expected:
        is_on = value.lower() in _SWITCHES[::2]
        return f"{text}. Write {'true' if is_on else 'false'}"
    if isinstance(value, str) and "number" in expected and _NOT_FINITE.fullmatch(value):
        return f"{text}, which is not finite"
    if isinstance(value, float) and abs(value) >= _LARGEST and "whole number" in expected:
        return f"{text}, which is too large"
    if isinstance(value, float) and value.is_integer() and "whole number" in expected:
        return f"{text}. Write {int(value)}"
    if isinstance(value, str) and "number" in expected and _NUMBER.fullmatch(value):
        return f"{text}. Write {value} without quotes"
    if isinstance(value, bool | int | float) and expected == "text":
        return f'{text}. Put it into quotes: "{text}"'
    return text


def _find_meant(detail: ErrorDetails, model: Any, path: KeyPath) -> KeyPath:
    """Return the path of the key that is meant by one that is not allowed; empty for any other error."""
    if detail["type"] != "extra_forbidden" or not path:
        return ()
    return (*path[:-1], find_nearest(str(path[-1]), _fields_at(model, path[:-1])))


def _path_in_data(detail: ErrorDetails, data: Any) -> KeyPath:
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
        return describe_unknown_key(str(path[-1]) if path else "", _fields_at(model, path[:-1]))
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        names = [name.strip("'") for name in re.split(r", | or ", str(context["expected"]))]
        is_switch = str(value).lower() in _SWITCHES
        return f"{quote(value)} is not one of {', '.join(names)}.{'' if is_switch else nearest(str(value), names)}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    if kind == "too_long":
        return f"must have at most {context['max_length']} values, not {context['actual_length']}"
    text = str(detail["msg"]).removeprefix("Input should ")
    return f"must {text}, not {quote(value)}" if text.startswith("be ") else text


def _fields_at(model: Any, path: KeyPath) -> list[str]:
    """Return the keys of the models that `path` leads to inside `model`."""
    models = _models_in(model)
    for key in (part for part in path if isinstance(part, str)):
        fields = [model.model_fields[key] for model in models if key in model.model_fields]
        models = [inner for field in fields for inner in _models_in(field.annotation)]
    return [name for model in models for name in model.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
