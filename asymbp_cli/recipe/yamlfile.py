"""YAML files as data with line numbers, and their validation: every problem of a file in one go.

YAML 1.1 reads `on` as true, `1e-3` as text and `010` as eight, and lets a duplicate key win silently; here only
true and false are booleans, 1e-3 is a number, and 010, duplicate keys and tags are errors.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from errno import EISDIR, ENOENT
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from asymbp_cli.errors import AsymbpError, RecipeError
from asymbp_cli.recipe.wording import KeyPath, explained, unknown_key
from asymbp_cli.text import yaml_value

T = TypeVar("T")
_LONGEST = 200_000  # characters
_MOST_NODES, _DEEPEST = 10_000, 50  # aliases can multiply a small file into a huge one
_UNREADABLE = {ENOENT: "there is no such file", EISDIR: "is a directory; name a YAML file in it"}
_TOO_MUCH = "has too many or too deeply nested values"
_LAST = 1 << 30  # the line of what stands in no file, for sorting
_PLAIN, _TEXT = "plain", "tag:yaml.org,2002:str"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(r"([-+]?)0+([0-9][0-9_]*)")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}
#: what PyYAML finds -> what it means to somebody who does not know its grammar
_SYNTAX = {
    r"'\t'": "a tab; use spaces",
    "mapping values are not allowed": 'wrong indentation, or a colon too many: put text that holds ": " in quotes',
    "could not find expected ':'": "no colon; write the line as key: value",
    "expected <block end>": "the indentation does not match the lines above",
    "expected ','": "a bracket is not closed, or a comma is missing",
    "expected the node content": "a bracket is not closed, or a value is missing",
    "end of stream": "a quote is not closed",
}


@dataclass
class Document:
    """What a file says: `data`, the line of every key path, what came from --set, and problems so far."""

    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overridden: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def where(self, path: KeyPath) -> tuple[int, str]:
        """Return the line of a key path, and `file:line: key.path` (or `--set key.path`) for messages."""
        for known in (path[:end] for end in range(len(path), -1, -1)):
            if option := self.overridden.get(known):
                return _LAST, f"--set {option}" if known == path else f"--set {option}: {dotted(path)}"
            if line := self.lines.get(known):
                return line, f"{self.name}:{line}: {dotted(path)}".removesuffix(": ")
        return _LAST, f"{self.name}: {dotted(path)}".removesuffix(": ")


def dotted(path: KeyPath) -> str:
    """Return `method[1].feedback` for ("method", 1, "feedback")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


@dataclass
class Checker:
    """Collects the problems of a document while its parts are read."""

    document: Document

    def add(self, path: KeyPath, text: str) -> None:
        """Note a problem at a key path."""
        line, where = self.document.where(path)
        self.document.problems.append((line, f"{where}: {text}"))

    def attempt(self, path: KeyPath, function: Callable[..., T], *arguments: Any) -> T | None:
        """Return what `function` returns; note what it raises as a problem at `path`, and return None."""
        try:
            return function(*arguments)
        except ValidationError as error:
            model = function.__self__ if hasattr(function, "__self__") else None
            for inner, message in explained(error, model, arguments[0] if arguments else None).items():
                self.add((*path, *inner), message)
        except RecipeError as error:  # of another file
            line, _ = self.document.where(path)
            self.document.problems += [(line, problem) for problem in error.problems]
        except (AsymbpError, ValueError) as error:
            self.add(path, str(error))
        return None

    def keys(self, path: KeyPath, data: Any, allowed: Sequence[str]) -> bool:
        """Note keys that are not allowed; return whether `data` is a mapping with allowed keys only."""
        if not isinstance(data, Mapping):
            self.add(path, f"must be a mapping with {', '.join(allowed)}, not {yaml_value(data)}")
            return False
        unknown = [key for key in data if key not in allowed]
        for key in unknown:
            self.add((*path, key), unknown_key(str(key), allowed))
        return not unknown

    def finish(self) -> None:
        """Raise RecipeError where there were problems, in the order of the file."""
        if problems := sorted(self.document.problems, key=lambda problem: problem[0]):
            raise RecipeError(dict.fromkeys(text for _, text in problems))


def read(file: Path, overrides: Sequence[str] = (), shorthands: Mapping[str, str] | None = None) -> Document:
    """Return the document in `file` with `overrides` (`key.path=value`) laid over it.

    `shorthands` maps a key to the one that its plain text stands for: with {"protocol": "extends"},
    `--set protocol.epochs=3` turns `protocol: demo` into {extends: demo, epochs: 3}. Raises RecipeError.
    """
    document = parse(_content(file), str(file))
    for override in overrides:
        lay_over(document, override, shorthands or {})
    return document


def _content(file: Path) -> str:
    try:
        with file.open(encoding="utf-8-sig") as opened:
            text = opened.read(_LONGEST + 1)
        if len(text) <= _LONGEST:
            return text
        problem = f"is longer than {_LONGEST:,} characters; name a YAML file"
    except OSError as error:
        problem = _UNREADABLE.get(error.errno or 0, f"cannot be read: {error.strerror}")
    except ValueError:  # UnicodeDecodeError, or a null character in the name
        problem = "is not UTF-8 text; name a YAML file"
    raise RecipeError([f"{file}: {problem}"])


def parse(text: str, name: str) -> Document:
    """Return the document that `text` is, with its problems; raises RecipeError where it is none."""
    builder = _Builder(name)
    root = builder.compose(text)
    if root is None:
        raise RecipeError([f"{name}: is empty; asymbp ls recipes shows examples"])
    data = builder.build(root, ())
    if not isinstance(data, dict):
        raise RecipeError([f"{name}:1: must be a mapping of keys to values, not {yaml_value(data)}"])
    return Document(name, data, builder.lines, problems=builder.problems)


def lay_over(document: Document, override: str, shorthands: Mapping[str, str]) -> None:
    """Set one value of a document from `key.path=value`; raises RecipeError where the path leads nowhere."""
    key, _, text = (part.strip() for part in override.partition("="))
    if "=" not in override or not all(parts := key.split(".")):
        raise RecipeError([f"--set {override}: write it as KEY=VALUE, for instance protocol.epochs=3"])
    builder = _Builder(f"--set {key}", with_lines=False)
    root = builder.compose(text)
    value = None if root is None else builder.build(root, ())
    document.problems += builder.problems
    place = document.data
    for depth, part in enumerate(parts[:-1], start=1):
        if place.get(part) is None:
            place[part] = {}
            document.overridden.setdefault(tuple(parts[:depth]), key)
        elif isinstance(place[part], str) and part in shorthands:
            place[part] = {shorthands[part]: place[part]}
        if not isinstance(place[part], dict):
            reached, found = ".".join(parts[:depth]), yaml_value(place[part])
            raise RecipeError([f"--set {key}: {reached} is {found}, which has no keys; set {reached} itself"])
        place = place[part]
    place[parts[-1]] = value
    document.lines = {path: n for path, n in document.lines.items() if path[: len(parts)] != tuple(parts)}
    document.overridden[tuple(parts)] = key


def meaning(text: str) -> Any:
    """Return what plain, unquoted `text` means: null, true, false, a number, or the text itself."""
    if text.lower() in _CONSTANTS and text in (text.lower(), text.capitalize(), text.upper()):
        return _CONSTANTS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text.lstrip("+-")) < 19 else float(text)  # what no 64 bits hold is no whole number
    return float(text) if _FLOAT.fullmatch(text) else text


class _Loader(yaml.SafeLoader):
    """Tells plain text from quoted text and leaves its meaning to `meaning`."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        return (_PLAIN if implicit[0] else _TEXT) if kind is yaml.ScalarNode else ""


class _Builder:
    """Turns YAML nodes into data."""

    def __init__(self, name: str, *, with_lines: bool = True) -> None:
        self._name, self._with_lines = name, with_lines
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[tuple[int, str]] = []
        self._nodes = 0

    def compose(self, text: str) -> yaml.Node | None:
        try:
            return yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            what = error.problem or error.context or "invalid"
            left_open = any(word in (error.context or "") for word in ("flow", "quoted", "simple key"))
            mark = error.context_mark if left_open and error.context_mark else error.problem_mark
            line = mark.line + 1 if mark else 1
            plain = next((text for found, text in _SYNTAX.items() if found in what), what)
        except yaml.reader.ReaderError as error:
            line, plain = text[: error.position].count("\n") + 1, "a control character; delete it"
        except RecursionError:
            raise RecipeError([f"{self._name}: {_TOO_MUCH}"]) from None
        raise RecipeError([f"{self._at(line)}: is not valid YAML: {plain}"])

    def _at(self, line: int) -> str:
        return f"{self._name}:{line}" if self._with_lines else self._name

    def _problem(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        line = node.start_mark.line + 1
        place = f"{self._at(line)}: {dotted(path)}".removesuffix(": ")
        self.problems.append((line, f"{place}: {text}"))

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(path) > _DEEPEST:
            raise RecipeError([f"{self._name}: {_TOO_MUCH}"])
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag not in ("", _PLAIN, _TEXT):
            self._problem(node, path, "a tag (with !) means nothing here; write the value alone")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._plain(node, path) if node.tag == _PLAIN else str(node.value)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or not key:
                self._problem(key_node, path, "a key must be plain text")
            elif key in found:
                first = self.lines[(*path, key)]
                self._problem(key_node, (*path, key), f"is given twice; the first one is in line {first}")
            else:
                self.lines[(*path, key)] = key_node.start_mark.line + 1
                found[key] = self.build(value_node, (*path, key))
        return found

    def _plain(self, node: yaml.Node, path: KeyPath) -> Any:
        text = str(node.value)
        if match := _AMBIGUOUS.fullmatch(text):
            self._problem(node, path, f'{text} could be read in two ways; write {match[1]}{match[2]} or "{text}"')
        return meaning(match[1] + match[2] if match else text)


class _Dumper(yaml.SafeDumper):
    """Quotes what would not be read as the same text."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        plain = meaning(data) == data and not _AMBIGUOUS.fullmatch(data)
        return self.represent_scalar(_TEXT, data, style=None if plain else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


def dump(data: Mapping[str, Any]) -> str:
    """Return data as YAML that `parse` reads as the same data."""
    return str(yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True))
