"""What a YAML file says, value by value, and everything that is wrong with it in one go."""

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from asymbp_cli.errors import AsymbpError, RecipeError
from asymbp_cli.recipe.habits import explain_key, find_name
from asymbp_cli.recipe.letters import describe_odd_letter
from asymbp_cli.recipe.wording import KeyPath, explain_errors, find_value, key_path, quote
from asymbp_cli.text import escape_controls

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
#: key of a recipe -> the key below it that plain text sets: `protocol: demo` is {extends: demo}
SHORTHANDS = {"protocol": "extends", "feedback": "scheme"}
#: the line of what is in no file, for sorting
LAST_LINE = 1 << 30
_MOST_PROBLEMS = 100
_LONGEST = 1000  # letters of a problem

_NO_TEXT = "holds half of a letter, which is no text. Delete it"


def _is_text(value: object) -> bool:
    """Return whether all text in a value can be written."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass
class Document:
    """A file's `data`, the line of every key path, what came from options, and the problems noted so far.

    Nothing is said of `unreadable` keys besides what is wrong with their text, nor that a key is missing that was
    `meant` by another one. Keys at the left margin that hold values for other places (`x: &name`) are `shared`.
    """

    name: str
    data: dict[str, Any]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overridden: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    unreadable: Collection[str] = ()
    shared: Collection[str] = ()
    meant: set[KeyPath] = field(default_factory=set)

    @property
    def root(self) -> "Node":
        """The whole document as a node."""
        return Node(self, (), self.data)

    def where(self, path: KeyPath) -> tuple[int, str]:
        """Return the line of a key path, and `file:line: key.path` (or `--set key.path`) for messages."""
        for known in (path[:end] for end in range(len(path), -1, -1)):
            if option := self.overridden.get(known):
                option = option if option.startswith("--") else f"--set {option}"
                return LAST_LINE, option if known == path else f"{option}: {key_path(path)}"
            if line := self.lines.get(known):
                return line, f"{self.name}:{line}: {key_path(path)}".removesuffix(": ")
        return LAST_LINE, f"{self.name}: {key_path(path)}".removesuffix(": ")

    def note(self, path: KeyPath, problem: str) -> None:
        """Note a problem at a key path; raises RecipeError if there are more than anybody reads."""
        is_known = find_value(self.data, path) is not None
        if (path and path[0] in self.unreadable) or (path in self.meant and not is_known):
            return
        line, where = self.where(path)
        self.problems.append((line, f"{_shorten(where)}: {_shorten(problem)}"))
        if len(self.problems) > _MOST_PROBLEMS:
            self.problems.append((LAST_LINE, f"{self.name}: there may be more problems. Mend these first"))
            self.raise_problems()

    def note_key(self, path: KeyPath, value: Any, allowed: Sequence[str]) -> None:
        """Note that the key that a path ends with is not allowed, and which one it means."""
        *_, key = path
        beside = find_value(self.data, path[:-1])
        self.note(path, explain_key(str(key), value, allowed, path[:-1], beside, self._base))
        self.meant.add((*path[:-1], find_name(str(key), allowed, path[:-1])))

    @property
    def _base(self) -> str:
        """The protocol that a recipe names; `demo` if it names none."""
        protocol = self.data.get("protocol")
        name = protocol.get("extends") if isinstance(protocol, Mapping) else protocol
        return name if isinstance(name, str) and name else "demo"

    def raise_problems(self) -> None:
        """Raise RecipeError if there are problems, in the order of the file."""
        if problems := sorted(self.problems, key=lambda problem: problem[0]):
            raise RecipeError(dict.fromkeys(text for _, text in problems))


def _shorten(text: str) -> str:
    """Return text as a single line of which nobody would read more."""
    text = escape_controls(text, keep="")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def make_document(name: str, content: Mapping[str, Any]) -> Document:
    """Return the document that values of Python make; raises RecipeError if YAML has no such values."""
    data = _to_plain(content, (), name)
    assert isinstance(data, dict)
    return Document(name, data)


def _to_plain(value: Any, path: KeyPath, name: str) -> Any:
    """Return a copy of what YAML can write: mappings, lists, text, numbers, true, false and null."""
    if isinstance(value, Mapping):
        return {str(key): _to_plain(item, (*path, str(key)), name) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_to_plain(item, (*path, i), name) for i, item in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    place = f"{name}: {key_path(path)}".removesuffix(": ")
    raise RecipeError([f"{place}: {quote(str(value))} is of type {type(value).__name__}, which YAML has not"])


@dataclass(frozen=True)
class Node:
    """A value of a document and its place. Readers of a format note problems there, and continue."""

    document: Document
    path: KeyPath
    value: Any

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return isinstance(self.value, Mapping)

    def __contains__(self, key: str) -> bool:
        return self.is_mapping and key in self.value

    def __getitem__(self, key: str) -> "Node":
        return self.get(key)

    def get(self, key: str, default: Any = None) -> "Node":
        """Return the value of a key, or `default` at that place if it has none."""
        return Node(self.document, (*self.path, key), self.value[key] if key in self else default)

    def select(self, keys: Iterable[str]) -> "Node":
        """Return the mapping with those of `keys` that it has, at the same place."""
        return replace(self, value={key: self.value[key] for key in keys if key in self})

    def items(self) -> list["Node"]:
        """Return the members of a list; any other value counts as a list of itself."""
        if not isinstance(self.value, list):
            return [self]
        return [Node(self.document, (*self.path, i), item) for i, item in enumerate(self.value)]

    def note(self, problem: str) -> None:
        """Note a problem at this place, or the letter in its text that only looks plain."""
        odd = describe_odd_letter(self.value) if isinstance(self.value, str) else ""
        self.document.note(self.path, f"{quote(self.value)} {odd}" if odd else problem)

    def attempt(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """Return the result of `function`; if it raises, note a problem at this place and return None."""
        try:
            return function(*arguments)
        except RecipeError as error:  # of another file
            line, _ = self.document.where(self.path)
            self.document.problems += [(line, problem) for problem in error.problems]
        except (AsymbpError, ValueError) as error:
            self.note(str(error))
        return None

    def validate(self, model: type[M], content: Mapping[str, Any] | None = None) -> M | None:
        """Return this mapping (or `content`, at this place) as a model, and note all that is wrong with it.

        Values that are wrong are left out then, so that rules about several values are checked too. None if a key
        is missing, or a rule is broken.
        """
        left = dict(self.value if content is None else content)
        noted: set[KeyPath] = set()
        while True:
            try:
                return model.model_validate(left)
            except ValidationError as error:
                messages = explain_errors(error, model, left)
            except UnicodeEncodeError:  # half of a letter, as in "\\ud800", which pydantic takes for no text
                paths: list[KeyPath] = [(key,) for key, value in left.items() if not _is_text(value)]
                messages = dict.fromkeys(paths or [()], _NO_TEXT)
            for path, message in messages.items():
                if path[:1] not in noted:
                    Node(self.document, (*self.path, *path), find_value(left, path)).note(message)
            noted |= {path[:1] for path in messages}
            wrong = {path[0] for path in messages if path} & left.keys()
            if not wrong:
                return None
            left = {key: value for key, value in left.items() if key not in wrong}

    def has_only(self, allowed: Iterable[str]) -> bool:
        """Note keys that are not allowed; return whether the value is a mapping with allowed keys only."""
        names = list(allowed)
        if not self.is_mapping:
            self.note(f"must be a mapping with {', '.join(names)}, not {quote(self.value)}")
            return False
        shared = () if self.path else self.document.shared
        unknown = [key for key in self.value if key not in names and key not in shared]
        for key in unknown:
            self.document.note_key((*self.path, key), self.value[key], names)
        return not unknown
