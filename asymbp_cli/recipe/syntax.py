"""YAML text as nodes, and every part of it that is not valid: what is read does not end at the first of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from asymbp_cli.recipe.letters import describe_odd_letter, mend

#: tags of scalars: plain or quoted
PLAIN, TEXT = "plain", "tag:yaml.org,2002:str"
#: aliases can multiply a small file into a huge one
MOST_NODES, DEEPEST = 5_000, 50
_MOST_BLOCKS = 200
_KEY = re.compile(r"""^(["']?)(?P<key>[A-Za-z_][\w-]*)\1 *:(?=\s|$)""", re.MULTILINE)
_NO_COLON = "no colon. Write the line as key: value"
#: what PyYAML says -> what it means to somebody who does not know its grammar
_MEANINGS = {
    r"'\t'": "a tab. Use spaces",
    "mapping values are not allowed": 'wrong indentation, or a colon too many: put text that holds ": " in quotes',
    "could not find expected ':'": _NO_COLON,
    "expected <block end>, but found '-'": "- must stand below the one above, or be left out",
    "expected <block end>": "the indentation does not match the lines above",
    "expected ','": "a bracket is not closed, or a comma is missing",
    "expected the node content": "a bracket is not closed, or a value is missing",
    "end of stream": "a quote is not closed",
    "found another document": "a second document begins (---). Keep one in a file",
    "found undefined alias": "no value above has the name (&) after this *. Text that begins with * needs quotes",
    "expected alphabetic or numeric character": "* and & need a name. Put text that begins with one in quotes",
    "cannot start any token": "text that begins with @, ` or % needs quotes",
    "expected '<document start>'": "text that begins with @, ` or % needs quotes",
    "unknown escape character": r"\ means something else between double quotes. Use / or single quotes",
    "escape sequence of": r"\ means something else between double quotes. Use / or single quotes",
    "block sequence entries are not allowed": "a list with - begins on a line of its own",
    "found duplicate anchor": "two values have the same name (&). Give one of them another name",
}


class TooMuchError(Exception):
    """A text has too many or too deeply nested values."""


class _Loader(yaml.SafeLoader):
    """Tells plain text from quoted text, and begins at any line.

    It stops at too much of a text: reading thousands of open brackets would take seconds.
    """

    def __init__(self, text: str, first_line: int = 0) -> None:
        super().__init__(text)
        self.line = first_line
        self._nodes, self._depth = 0, -1  # keys are nodes here, too

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._nodes += 1
        self._depth += 1
        if self._nodes > 2 * MOST_NODES or self._depth > DEEPEST:
            raise TooMuchError
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        return (PLAIN if implicit[0] else TEXT) if kind is yaml.ScalarNode else ""


@dataclass
class Composed:
    """The node of a text, what is wrong with the text by line, and the keys whose values cannot be read."""

    root: yaml.Node | None = None
    problems: list[tuple[int, str]] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)


def compose(text: str) -> Composed:
    """Return the node of a text; if parts are not valid, that of the other keys.

    Raises TooMuchError.
    """
    mended, problems = mend(text)
    try:
        return Composed(_load(mended), problems)
    except yaml.MarkedYAMLError as error:
        first = _explain(error, mended)
    found = _compose_parts(mended)
    found.problems = [*problems, *(found.problems or [first])]
    return found


def _compose_parts(text: str) -> Composed:
    """Return the node of those keys at the left margin whose values are valid."""
    found = Composed()
    pairs: list[tuple[yaml.Node, yaml.Node]] = []
    for key, line, part in _split(text):
        try:
            node = _load(part, line)
        except yaml.MarkedYAMLError as error:
            found.unreadable |= {key} - {""}
            if not _is_named_elsewhere(error, text):
                at, problem = _explain(error, text)
                found.problems.append((min(at, line + part.rstrip().count("\n") + 1), problem))
            continue
        if isinstance(node, yaml.MappingNode):
            pairs += node.value
        elif node is not None and node.value:  # an empty one is what stands before ---
            found.problems.append((node.start_mark.line + 1, f"is not valid YAML: {_NO_COLON}"))
    if pairs:
        found.root = yaml.MappingNode("", pairs, pairs[0][0].start_mark)
    return found


def _load(text: str, first_line: int = 0) -> yaml.Node | None:
    loader = _Loader(text, first_line)
    try:
        node: yaml.Node | None = loader.get_single_node()
    finally:
        loader.dispose()
    return node


def _is_named_elsewhere(error: yaml.MarkedYAMLError, text: str) -> bool:
    """Return whether an error comes from reading a part of a text alone: a name of a value is in another part."""
    name = re.search("undefined alias '(.*)'", error.problem or "")
    return name is not None and f"&{name[1]}" in text


def _split(text: str) -> Iterator[tuple[str, int, str]]:
    """Yield the keys at the left margin, with the line of each (from 0) and its text; first what is above them."""
    keys = [("", 0), *((found["key"], found.start()) for found in _KEY.finditer(text))]
    if len(keys) > _MOST_BLOCKS:
        return
    line = 0
    for (key, start), (_, end) in zip(keys, [*keys[1:], ("", len(text))], strict=True):
        block = text[start:end]
        yield key, line, block
        line += block.count("\n")


def _explain(error: yaml.MarkedYAMLError, text: str) -> tuple[int, str]:
    """Return the line to look at, and what is wrong there."""
    what = f"{error.problem or error.context or 'invalid'}"
    is_left_open = any(word in (error.context or "") for word in ("flow", "quoted", "simple key"))
    mark = error.context_mark if is_left_open and error.context_mark else error.problem_mark
    line = mark.line + 1 if mark else 1
    for written in text.split("\n")[line - 1 : line]:
        if odd := describe_odd_letter(written):
            return line, odd
    meaning = next((meaning for words, meaning in _MEANINGS.items() if words in what), what)
    return line, f"is not valid YAML: {meaning}"
