"""YAML files as data with line numbers, and data as YAML.

YAML 1.1 reads `on` as true, `1e-3` as text and `010` as eight, and lets a duplicate key win silently. Here only
true and false are booleans, 1e-3 is a number, and 010, duplicate keys and tags are errors.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from errno import EISDIR, ENOENT
from pathlib import Path
from typing import Any

import yaml

from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.document import Document
from asymbp_cli.recipe.resources import is_inline
from asymbp_cli.recipe.wording import KeyPath, key_path, quote

_LONGEST = 200_000  # characters
_MOST_NODES, _DEEPEST = 10_000, 50  # aliases can multiply a small file into a huge one
_UNREADABLE = {ENOENT: "there is no such file", EISDIR: "is a directory. Name a YAML file in it"}
_TOO_MUCH = "has too many or too deeply nested values"
_INLINE = "{...}"  # what messages call content in place of a path
_PLAIN = "plain"
_TEXT = "tag:yaml.org,2002:str"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(r"([-+]?)0+([0-9][0-9_]*)")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}
#: what PyYAML says -> what it means to somebody who does not know its grammar
_SYNTAX = {
    r"'\t'": "a tab. Use spaces",
    "mapping values are not allowed": 'wrong indentation, or a colon too many: put text that holds ": " in quotes',
    "could not find expected ':'": "no colon. Write the line as key: value",
    "expected <block end>": "the indentation does not match the lines above",
    "expected ','": "a bracket is not closed, or a comma is missing",
    "expected the node content": "a bracket is not closed, or a value is missing",
    "end of stream": "a quote is not closed",
}


def read_yaml(file: Path, overrides: Sequence[str] = (), shorthands: Mapping[str, str] | None = None) -> Document:
    """Return the document in `file` with `overrides` (`key.path=value`) laid over it; `file` may be its content.

    `shorthands` maps a key to the one below it that plain text sets: with {"protocol": "extends"},
    `--set protocol.epochs=3` turns `protocol: demo` into {extends: demo, epochs: 3}. Raises RecipeError.
    """
    inline = is_inline(file)
    document = parse_yaml(str(file) if inline else _content(file), _INLINE if inline else str(file))
    for override in overrides:
        override_value(document, override, shorthands or {})
    return document


def _content(file: Path) -> str:
    try:
        with file.open(encoding="utf-8-sig") as opened:
            text = opened.read(_LONGEST + 1)
        if len(text) <= _LONGEST:
            return text
        problem = f"is longer than {_LONGEST:,} characters. Name a YAML file"
    except OSError as error:
        problem = _UNREADABLE.get(error.errno or 0, f"cannot be read: {error.strerror}")
    except ValueError:  # UnicodeDecodeError, or a null character in the name
        problem = "is not UTF-8 text. Name a YAML file"
    raise RecipeError([f"{file}: {problem}"])


def parse_yaml(text: str, name: str) -> Document:
    """Return the document that `text` holds, with its problems; raises RecipeError if it is no mapping."""
    builder = _Builder(name)
    root = builder.compose(text)
    if root is None:
        raise RecipeError([f"{name}: is empty; asymbp ls recipes shows examples"])
    data = builder.build(root, ())
    if not isinstance(data, dict):
        raise RecipeError([f"{name}:1: must be a mapping of keys to values, not {quote(data)}"])
    return Document(name, data, builder.lines, problems=builder.problems)


def override_value(document: Document, option: str, shorthands: Mapping[str, str]) -> None:
    """Set one value of a document from `key.path=value`; raises RecipeError if the path leads nowhere."""
    key, _, text = (part.strip() for part in option.partition("="))
    if "=" not in option or not all(parts := key.split(".")):
        raise RecipeError([f"--set {option}: write it as KEY=VALUE, for instance protocol.epochs=3"])
    builder = _Builder(f"--set {key}", with_lines=False)
    root = builder.compose(text)
    value = None if root is None else builder.build(root, ())
    document.problems += builder.problems
    _mapping_at(document, parts[:-1], key, shorthands)[parts[-1]] = value
    document.lines = {path: n for path, n in document.lines.items() if path[: len(parts)] != tuple(parts)}
    document.overridden[tuple(parts)] = key


def _mapping_at(
    document: Document, parts: Sequence[str], key: str, shorthands: Mapping[str, str]
) -> dict[str, Any]:
    """Return the mapping that an override sets a value in; creates those that are missing on the way."""
    mapping = document.data
    for depth, part in enumerate(parts, start=1):
        if mapping.get(part) is None:
            mapping[part] = {}
            document.overridden.setdefault(tuple(parts[:depth]), key)
        elif isinstance(mapping[part], str) and part in shorthands:
            mapping[part] = {shorthands[part]: mapping[part]}
        if not isinstance(mapping[part], dict):
            reached = ".".join(parts[:depth])
            value = quote(mapping[part])
            raise RecipeError([f"--set {key}: {reached} is {value}, which has no keys. Set {reached} itself"])
        mapping = mapping[part]
    return mapping


def yaml_value(text: str) -> Any:
    """Return the value of plain, unquoted `text`: null, true, false, a number, or the text itself."""
    if text.lower() in _CONSTANTS and text in (text.lower(), text.capitalize(), text.upper()):
        return _CONSTANTS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text.lstrip("+-")) < 19 else float(text)  # a float: 64 bits do not hold it
    return float(text) if _FLOAT.fullmatch(text) else text


class _TooMuchError(Exception):
    """A text has too many or too deeply nested values."""


class _Loader(yaml.SafeLoader):
    """Tells plain text from quoted text; `yaml_value` decides what it means.

    It stops at too much of a text: reading thousands of open brackets would take seconds.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes, self._depth = 0, -1  # keys are nodes here, too

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._nodes += 1
        self._depth += 1
        if self._nodes > 2 * _MOST_NODES or self._depth > _DEEPEST:
            raise _TooMuchError
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        return (_PLAIN if implicit[0] else _TEXT) if kind is yaml.ScalarNode else ""


class _Builder:
    """Turns YAML nodes into data, with their lines and problems."""

    def __init__(self, name: str, *, with_lines: bool = True) -> None:
        self._name = name
        self._with_lines = with_lines
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[tuple[int, str]] = []
        self._nodes = 0

    def compose(self, text: str) -> yaml.Node | None:
        try:
            return yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            line, problem = _explain_syntax(error)
        except yaml.reader.ReaderError as error:
            line = text[: error.position].count("\n") + 1
            problem = "a control character. Delete it"
        except _TooMuchError:
            raise RecipeError([f"{self._name}: {_TOO_MUCH}"]) from None
        raise RecipeError([f"{self._at(line)}: is not valid YAML: {problem}"])

    def _at(self, line: int) -> str:
        return f"{self._name}:{line}" if self._with_lines else self._name

    def _problem(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        line = node.start_mark.line + 1
        place = f"{self._at(line)}: {key_path(path)}".removesuffix(": ")
        self.problems.append((line, f"{place}: {text}"))

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(path) > _DEEPEST:
            raise RecipeError([f"{self._name}: {_TOO_MUCH}"])
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag not in ("", _PLAIN, _TEXT):
            self._problem(node, path, "a tag (with !) means nothing here. Write the value alone")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._plain(node, path) if node.tag == _PLAIN else str(node.value)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or not key:
                self._problem(key_node, path, "a key must be plain text")
            elif key in mapping:
                first = self.lines[(*path, key)]
                self._problem(key_node, (*path, key), f"is given twice; the first one is in line {first}")
            else:
                self.lines[(*path, key)] = key_node.start_mark.line + 1
                mapping[key] = self.build(value_node, (*path, key))
        return mapping

    def _plain(self, node: yaml.Node, path: KeyPath) -> Any:
        text = str(node.value)
        if match := _AMBIGUOUS.fullmatch(text):
            self._problem(node, path, f'{text} could be read in two ways. Write {match[1]}{match[2]} or "{text}"')
        return yaml_value(match[1] + match[2] if match else text)


def _explain_syntax(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """Return the line to look at, and what is wrong there."""
    what = error.problem or error.context or "invalid"
    is_left_open = any(word in (error.context or "") for word in ("flow", "quoted", "simple key"))
    mark = error.context_mark if is_left_open and error.context_mark else error.problem_mark
    line = mark.line + 1 if mark else 1
    return line, next((meaning for words, meaning in _SYNTAX.items() if words in what), what)


class _Dumper(yaml.SafeDumper):
    """Quotes text that would be read as something else without quotes."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        plain = yaml_value(data) == data and not _AMBIGUOUS.fullmatch(data)
        return self.represent_scalar(_TEXT, data, style=None if plain else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


class _InlineDumper(_Dumper):
    """Quotes with double quotes: single ones are a shell's."""

    def choose_scalar_style(self) -> str:
        style = str(super().choose_scalar_style())
        return '"' if style == "'" else style


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Return data as YAML that `parse_yaml` reads as the same data."""
    return str(yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def dump_inline(data: Mapping[str, Any]) -> str:
    """Return data as one line of YAML, in braces, that `parse_yaml` reads as the same data."""
    text = yaml.dump(
        dict(data),
        Dumper=_InlineDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=True,
        width=sys.maxsize,
    )
    return str(text).rstrip("\n")


def dump_line(key: str, value: object) -> str:
    """Return a key and its value as one line of YAML."""
    text = yaml.dump(
        {key: value}, Dumper=_Dumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6
    )
    return str(text).strip().removeprefix("{").removesuffix("}")
