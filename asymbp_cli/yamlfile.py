"""YAML files as data with line numbers, and their validation: every problem of a file in one go.

YAML 1.1 reads `on` as true, `1e-3` as text and `010` as eight, and lets a duplicate key win silently; here only
true and false are booleans, 1e-3 is a number, 010 and duplicate keys are errors.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from asymbp_cli.errors import AsymbpError, RecipeError, nearest

KeyPath = tuple[str | int, ...]
T = TypeVar("T")
_MOST_NODES = 10_000  # aliases can multiply a small file into a huge one
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass
class Document:
    """What a file says: `data`, the line of every key path, and which paths came from --set."""

    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overridden: dict[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """Return `file:line: key.path` (or `--set key.path`) for messages."""
        known = path
        for option, text in self.overridden.items():
            if path[: len(option)] == option:
                return f"--set {text}" if path == option else f"--set {text}: {dotted(path)}"
        while known and known not in self.lines:
            known = known[:-1]
        line = f":{self.lines[known]}" if known in self.lines else ""
        return f"{self.name}{line}: {dotted(path)}" if path else f"{self.name}{line}"


def dotted(path: KeyPath) -> str:
    """Return `method[1].feedback` for ("method", 1, "feedback")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


@dataclass
class Checker:
    """Collects the problems of a document while its parts are read."""

    document: Document
    problems: list[str] = field(default_factory=list)

    def add(self, path: KeyPath, text: str) -> None:
        """Note a problem at a key path."""
        self.problems.append(f"{self.document.where(path)}: {text}")

    def attempt(self, path: KeyPath, function: Callable[..., T], *arguments: Any) -> T | None:
        """Return what `function` returns; note what it raises as a problem at `path`, and return None."""
        try:
            return function(*arguments)
        except ValidationError as error:
            model = function.__self__ if hasattr(function, "__self__") else None
            self._explain(path, error, model, arguments[0] if arguments else None)
        except RecipeError as error:
            self.problems += error.problems
        except (AsymbpError, ValueError) as error:
            self.add(path, str(error))
        return None

    def keys(self, path: KeyPath, data: Any, allowed: Sequence[str]) -> bool:
        """Note keys that are not allowed; return whether `data` is a mapping with allowed keys only."""
        if not isinstance(data, Mapping):
            self.add(path, f"must be a mapping with {', '.join(allowed)}, not {shown(data)}")
            return False
        unknown = [key for key in data if key not in allowed]
        for key in unknown:
            self.add((*path, key), _unknown_key(str(key), allowed))
        return not unknown

    def finish(self) -> None:
        """Raise RecipeError where there were problems."""
        if self.problems:
            raise RecipeError(dict.fromkeys(self.problems))

    def _explain(self, path: KeyPath, error: ValidationError, model: Any, data: Any) -> None:
        by_path: dict[KeyPath, list[str]] = {}
        for detail in error.errors(include_url=False):
            inner = _data_path(detail["loc"], data)
            by_path.setdefault(inner, []).append(_message(detail, model, inner))
        for inner, messages in by_path.items():
            self.add((*path, *inner), " or ".join(dict.fromkeys(messages)))


def shown(value: Any) -> str:
    """Return a value as a message quotes it."""
    if isinstance(value, str):
        return f'"{value}"'
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else str(value)


def read(file: Path, overrides: Sequence[str] = (), shorthands: Mapping[str, str] | None = None) -> Document:
    """Return the document in `file` with `overrides` (`key.path=value`) laid over it.

    `shorthands` maps a key to the one that its plain text stands for: with {"protocol": "extends"},
    `--set protocol.epochs=3` turns `protocol: demo` into {extends: demo, epochs: 3}. Raises RecipeError.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError([f"{file}: there is no such file"]) from None
    except IsADirectoryError:
        raise RecipeError([f"{file}: is a directory; name a YAML file in it"]) from None
    except UnicodeDecodeError:
        raise RecipeError([f"{file}: is not UTF-8 text; name a YAML file"]) from None
    except OSError as error:
        raise RecipeError([f"{file}: cannot be read: {error.strerror}"]) from None
    document = parse(text, str(file))
    for override in overrides:
        lay_over(document, override, shorthands or {})
    return document


def parse(text: str, name: str) -> Document:
    """Return the document that `text` is; raises RecipeError where it is not valid or not a mapping."""
    builder = _Builder(name)
    root = builder.compose(text)
    document = Document(name, {}, builder.lines)
    if root is None:
        raise RecipeError([f"{name}: is empty; asymbp ls recipes shows examples"])
    data = builder.build(root, ())
    if builder.problems:
        raise RecipeError(builder.problems)
    if not isinstance(data, dict):
        raise RecipeError([f"{name}:1: must be a mapping of keys to values, not {shown(data)}"])
    document.data = data
    return document


def parse_value(text: str, what: str) -> Any:
    """Return the value that `text` writes in YAML; raises RecipeError naming `what`."""
    builder = _Builder(what, with_lines=False)
    root = builder.compose(text)
    value = None if root is None else builder.build(root, ())
    if builder.problems:
        raise RecipeError(builder.problems)
    return value


def lay_over(document: Document, override: str, shorthands: Mapping[str, str]) -> None:
    """Set one value of a document from `key.path=value`; raises RecipeError where the path leads nowhere."""
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise RecipeError([f"--set {override}: write it as KEY=VALUE, for instance protocol.epochs=3"])
    value = parse_value(text, f"--set {key}")
    place = document.data
    for depth, part in enumerate(parts[:-1]):
        inner = place.setdefault(part, {})
        if isinstance(inner, str) and depth == 0 and part in shorthands:
            inner = place[part] = {shorthands[part]: inner}
        if not isinstance(inner, dict):
            reached = ".".join(parts[: depth + 1])
            raise RecipeError(
                [f"--set {key}: {reached} is {shown(inner)}, which has no keys; set {reached} itself"]
            )
        place = inner
    place[parts[-1]] = value
    document.overridden[tuple(parts)] = key


class _Builder:
    """Turns YAML nodes into data."""

    def __init__(self, name: str, *, with_lines: bool = True) -> None:
        self._name, self._with_lines = name, with_lines
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[str] = []
        self._nodes = 0

    def compose(self, text: str) -> yaml.Node | None:
        try:
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            what = error.problem or error.context or "invalid"
            raise RecipeError([f"{self._at(line)}: is not valid YAML: {what}"]) from None
        except yaml.YAMLError as error:
            raise RecipeError([f"{self._name}: is not valid YAML: {str(error).splitlines()[0]}"]) from None

    def _at(self, line: int) -> str:
        return f"{self._name}:{line}" if self._with_lines else self._name

    def _problem(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        place = f"{self._at(node.start_mark.line + 1)}: {dotted(path)}".removesuffix(": ")
        self.problems.append(f"{place}: {text}")

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(path) > 50:
            raise RecipeError([f"{self._name}: has too many or too deeply nested values"])
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "a key must be plain text")
                continue
            line = key_node.start_mark.line + 1
            if key in found:
                self._problem(key_node, (*path, key), f"is given twice; the first one is in line {first[key]}")
                continue
            self.lines[(*path, key)] = first[key] = line
            found[key] = self.build(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        text = str(node.value)
        if getattr(node, "style", None) is not None:  # quoted
            return text
        if text.lower() in _CONSTANTS and text in (text.lower(), text.capitalize(), text.upper()):
            return _CONSTANTS[text.lower()]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if re.fullmatch(r"[-+]?0[0-9_]+", text):
            self._problem(node, path, f'{text} could be read in two ways; write {text.lstrip("+-0")} or "{text}"')
        return text


def _unknown_key(key: str, allowed: Sequence[str]) -> str:
    hint = nearest(key, allowed)
    return f"unknown key.{hint}" if hint else f"unknown key; allowed are {', '.join(allowed)}"


def _data_path(location: Sequence[str | int], data: Any) -> KeyPath:
    """Return an error's location without the names of union members that pydantic adds."""
    path: list[str | int] = []
    for i, part in enumerate(location):
        if isinstance(data, Mapping) and (part in data or i == len(location) - 1):
            path.append(part)
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
    return tuple(path)


def _message(detail: ErrorDetails, model: Any, path: KeyPath) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(str(path[-1]) if path else "", _fields_at(model, path[:-1]))
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'|(\d+)", str(context["expected"]))
        names = [text or digits for text, digits in choices]
        return f"{shown(value)} is not one of {', '.join(names)}.{nearest(str(value), names)}"
    if kind == "value_error":
        return str(context["error"])
    wanted = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "string_type": "text",
        "tuple_type": "a list",
        "list_type": "a list",
        "model_type": "a mapping",
        "dict_type": "a mapping",
        "too_short": "a list that is not empty",
    }.get(kind)
    if wanted:
        return f"must be {wanted}, not {shown(value)}"
    text = str(detail["msg"]).removeprefix("Input should ").removeprefix("Value error, ")
    return f"must {text}, not {shown(value)}" if text.startswith("be ") else text


def _fields_at(model: Any, path: KeyPath) -> list[str]:
    """Return the keys of the model that `path` leads to inside `model`."""
    for part in path:
        if isinstance(part, str) and _is_model(model) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    return list(model.model_fields) if _is_model(model) else []


def _is_model(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)


def _model_in(annotation: Any) -> Any:
    if _is_model(annotation):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
