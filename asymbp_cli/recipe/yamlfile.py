"""YAML files as data with line numbers, and data as YAML.

YAML 1.1 reads `on` as true, `1e-3` as text and `010` as eight, and lets a duplicate key win silently. Here only
true and false are booleans, 1e-3 is a number, and 010, duplicate keys and tags are errors.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from errno import EISDIR, ENOENT
from pathlib import Path
from typing import Any

import yaml

from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.document import Document
from asymbp_cli.recipe.resources import is_inline
from asymbp_cli.recipe.syntax import DEEPEST, MOST_NODES, PLAIN, TEXT, TooMuchError, compose
from asymbp_cli.recipe.wording import KeyPath, key_path, quote
from asymbp_cli.text import nearest_path

_LONGEST = 200_000  # characters
_UNREADABLE = {ENOENT: "there is no such file", EISDIR: "is a directory. Name a YAML file in it"}
_INLINE = "{...}"  # what messages call content in place of a path
_MERGE = "<<"
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(r"([-+]?)0+([0-9][0-9_]*)")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}


def read_yaml(file: Path) -> Document:
    """Return the document in `file`, which may be its content, with its problems.

    Raises RecipeError if it cannot be read.
    """
    inline = is_inline(file)
    return parse_yaml(str(file) if inline else _content(file), _INLINE if inline else str(file))


def _content(file: Path) -> str:
    try:
        with file.open(encoding="utf-8-sig") as opened:
            text = opened.read(_LONGEST + 1)
        if len(text) <= _LONGEST:
            return text
        problem = f"is longer than {_LONGEST:,} characters. Name a YAML file"
    except OSError as error:
        problem = _UNREADABLE.get(error.errno or 0, f"cannot be read: {error.strerror}")
        if error.errno == ENOENT:
            hint = nearest_path(file, Path.is_file)
            problem += f".{hint}" if hint else ""
    except ValueError:  # UnicodeDecodeError, or a null character in the name
        problem = "is not UTF-8 text. Name a YAML file"
    raise RecipeError([f"{file}: {problem}"])


def parse_yaml(text: str, name: str) -> Document:
    """Return the document that `text` holds, with its problems; raises RecipeError if it is no mapping."""
    builder = Builder(name)
    data = builder.read(text)
    if isinstance(data, dict):
        return Document(
            name,
            data,
            builder.lines,
            problems=builder.problems,
            unreadable=builder.unreadable,
            shared=builder.shared,
        )
    if not builder.problems:
        builder.problems.append(
            (1, f"{name}: is empty; asymbp ls recipes shows examples")
            if data is None
            else (1, f"{name}:1: must be a mapping of keys to values, not {quote(data)}")
        )
    raise RecipeError(text for _, text in sorted(builder.problems))


def yaml_value(text: str) -> Any:
    """Return the value of plain, unquoted `text`: null, true, false, a number, or the text itself."""
    if text.lower() in _CONSTANTS and text in (text.lower(), text.capitalize(), text.upper()):
        return _CONSTANTS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text.lstrip("+-")) < 19 else float(text)  # a float: 64 bits do not hold it
    return float(text) if _FLOAT.fullmatch(text) else text


class Builder:
    """Turns text into data, with lines, problems, and the keys whose values are used elsewhere."""

    def __init__(self, name: str, *, with_lines: bool = True) -> None:
        self._name = name
        self._with_lines = with_lines
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[tuple[int, str]] = []
        self.unreadable: set[str] = set()
        self.shared: set[str] = set()
        self._nodes = 0
        self._places: dict[int, KeyPath] = {}  # of nodes, by identity: an alias is the node that it names

    def read(self, text: str) -> Any:
        """Return the value of a text; None if there is none. Raises RecipeError if it has too many values."""
        try:
            found = compose(text)
            self.problems += [(line, f"{self._at(line)}: {problem}") for line, problem in found.problems]
            self.unreadable = found.unreadable
            return None if found.root is None else self._build(found.root, ())
        except TooMuchError:
            raise RecipeError([f"{self._name}: has too many or too deeply nested values"]) from None

    def _at(self, line: int) -> str:
        return f"{self._name}:{line}" if self._with_lines else self._name

    def _problem(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        line = node.start_mark.line + 1
        place = f"{self._at(line)}: {key_path(path)}".removesuffix(": ")
        self.problems.append((line, f"{place}: {text}"))

    def _count(self, path: KeyPath) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES or len(path) > DEEPEST:
            raise TooMuchError

    def _visit(self, node: yaml.Node, path: KeyPath) -> None:
        """Note that a node is used at a path."""
        self._count(path)
        first = self._places.setdefault(id(node), path)
        if first != path and first:
            self.shared.add(str(first[0]))

    def _build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._visit(node, path)
        self.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag not in ("", PLAIN, TEXT):
            self._problem(node, path, "a tag (with !) means nothing here. Write the value alone")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._plain(node, path) if node.tag == PLAIN else str(node.value)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        merged = []
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or not key:
                self._problem(key_node, path, "a key must be plain text")
            elif (first := self.lines.get((*path, key))) and (key in mapping or _is_merge(key_node)):
                self._problem(key_node, (*path, key), f"is given twice; the first one is in line {first}")
            else:
                self.lines[(*path, key)] = key_node.start_mark.line + 1
                if _is_merge(key_node):
                    merged += list(self._merged(value_node, path))
                else:
                    mapping[key] = self._build(value_node, (*path, key))
        for key_node, value_node in merged:
            if key_node.value not in mapping:
                self.lines[(*path, key_node.value)] = key_node.start_mark.line + 1
                mapping[key_node.value] = self._build(value_node, (*path, key_node.value))
        return mapping

    def _merged(self, node: yaml.Node, path: KeyPath) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """Yield the keys and values that `<<` brings in; of several with one key the first counts."""
        later = []
        for part in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            self._visit(part, (*path, _MERGE))
            if not isinstance(part, yaml.MappingNode):
                self._problem(part, (*path, _MERGE), "takes a mapping or a list of mappings, such as <<: *name")
                continue
            for key_node, value_node in part.value:
                self._count(path)
                if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
                    continue  # a problem of the mapping itself
                if _is_merge(key_node):
                    later.append(value_node)
                else:
                    yield key_node, value_node
            for inner in later:
                yield from self._merged(inner, (*path, _MERGE))
            later.clear()

    def _plain(self, node: yaml.Node, path: KeyPath) -> Any:
        text = str(node.value)
        if match := _AMBIGUOUS.fullmatch(text):
            self._problem(node, path, f'{text} could be read in two ways. Write {match[1]}{match[2]} or "{text}"')
        return yaml_value(match[1] + match[2] if match else text)


def _is_merge(key: yaml.Node) -> bool:
    return key.tag == PLAIN and key.value == _MERGE


class _Dumper(yaml.SafeDumper):
    """Quotes text that would be read as something else without quotes."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        plain = data.isascii() and yaml_value(data) == data and not _AMBIGUOUS.fullmatch(data) and data != _MERGE
        return self.represent_scalar(TEXT, data, style=None if plain else '"')


_Dumper.add_representer(str, _Dumper.represent_str)


class _InlineDumper(_Dumper):
    """Quotes with double quotes: single ones are a shell's."""

    def choose_scalar_style(self) -> str:
        style = str(super().choose_scalar_style())
        return '"' if style == "'" else style


def dump_yaml(data: Mapping[str, Any]) -> str:
    """Return data as YAML that `parse_yaml` reads as the same data."""
    return str(yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LONGEST))


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
