"""Values that options lay over a file: `--set protocol.epochs=3`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from asymbp_cli.recipe.document import LAST_LINE, Document
from asymbp_cli.recipe.wording import quote
from asymbp_cli.recipe.yamlfile import Builder

_Parts = tuple[str, ...]
_BRACKETS = ("'", '"', "[", "{")


def override_values(document: Document, options: Sequence[str], shorthands: Mapping[str, str]) -> None:
    """Lay options (`key.path=value`) over a document, whatever their order: a mapping before the values in it.

    `shorthands` maps a key to the one below it that plain text sets: with {"protocol": "extends"},
    `protocol.epochs=3` turns `protocol: demo` into {extends: demo, epochs: 3}. What leads nowhere is noted, and
    what contradicts another option.
    """
    laid: dict[_Parts, str] = {}
    for parts, text in sorted(_split(document, options).items(), key=lambda option: (len(option[0]), option[0])):
        key = ".".join(parts)
        builder = Builder(f"--set {key}", with_lines=False)
        value = builder.read(text)
        is_readable = value is not None or not builder.problems
        problems = [(LAST_LINE, problem) for _, problem in builder.problems]
        document.problems += problems or _find_comment(key, text)
        mapping = _mapping_at(document, parts, shorthands)
        if mapping is None:
            continue
        whole = next((".".join(parts[:end]) for end in range(1, len(parts)) if parts[:end] in laid), None)
        if whole and parts[-1] in mapping and mapping[parts[-1]] != value:
            _note(document, key, f"--set {whole} sets it too, to another value. Leave one out")
        if not is_readable:
            document.unreadable = {*document.unreadable, parts[0]}
            continue
        mapping[parts[-1]] = value
        document.lines = {path: n for path, n in document.lines.items() if path[: len(parts)] != parts}
        document.overridden[parts] = key
        document.unreadable = set(document.unreadable) - {parts[0]}
        laid[parts] = text


def _split(document: Document, options: Sequence[str]) -> dict[_Parts, str]:
    """Return the text of each key path that options set."""
    found: dict[_Parts, str] = {}
    for option in sorted(options):
        key, equals, text = (part.strip() for part in option.partition("="))
        parts = tuple(part.strip() for part in key.split("."))
        if not equals or not all(parts):
            _note(document, option, "write it as KEY=VALUE, for instance protocol.epochs=3")
        elif found.setdefault(parts, text) != text:
            one, other = sorted((found[parts], text))
            _note(document, key, f"is given twice, as {quote(one)} and {quote(other)}. Leave one out")
    return found


def _note(document: Document, option: str, problem: str) -> None:
    document.problems.append((LAST_LINE, f"--set {option}: {problem}"))


def _find_comment(key: str, text: str) -> list[tuple[int, str]]:
    """Return the problem that a text is a comment in YAML, or ends with one."""
    if text[:1] in _BRACKETS or not re.search(r"(^|\s)#", text):
        return []
    return [(LAST_LINE, f"--set {key}: # begins a comment. Put text with # into quotes: --set '{key}=\"{text}\"'")]


def _mapping_at(document: Document, parts: _Parts, shorthands: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the mapping that an option sets a value in; creates those that are missing on the way.

    None, with a problem noted, if something else is there.
    """
    mapping = document.data
    for depth, part in enumerate(parts[:-1], start=1):
        if mapping.get(part) is None:
            mapping[part] = {}
            document.overridden.setdefault(parts[:depth], ".".join(parts))
        elif isinstance(mapping[part], str) and part in shorthands:
            mapping[part] = {shorthands[part]: mapping[part]}
        if not isinstance(mapping[part], dict):
            reached = ".".join(parts[:depth])
            value = quote(mapping[part])
            _note(document, ".".join(parts), f"{reached} is {value}, which has no keys. Set {reached} itself")
            return None
        mapping = mapping[part]
    return mapping
