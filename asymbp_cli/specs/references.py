"""Names that plugins add. A spec keeps such a name as `NAME@HASH`: HASH begins the SHA-256 of the plugin's source.

So the source of a plugin is part of the identity of the runs that use it, and of no other. Results of a plugin
that is not loaded can be read: its names stand for themselves. No torch.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import AfterValidator

from asymbp_cli.errors import UsageError
from asymbp_cli.text import nearest

#: what messages add to a name that nobody knows
HINT = "If a plugin defines it, add --plugin FILE"
_NAME = r"[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z][A-Za-z0-9_]*)*"
HASH_DIGITS = 16  # of a hash, as of a run's id
_REFERENCE = re.compile(rf"{_NAME}@[0-9a-f]{{{HASH_DIGITS}}}")


@dataclass(frozen=True)
class Plugin:
    """The source of a plugin, as it travels to the processes that train.

    `label` is what messages call it: the path of its file, or the `module` of an installed package.
    """

    label: str
    source: bytes
    module: str = ""  # empty for a file

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the source, 64 hex digits."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def name(self) -> str:
        """The name that results keep, and lists show: without the path of an installed package."""
        return self.module or self.label

    @property
    def module_name(self) -> str:
        """The name of its module in this process."""
        return self.module or f"asymbp_plugin_{self.sha256[:HASH_DIGITS]}"

    def make_absolute(self) -> "Plugin":
        """Return it with a path that leads to its file from any directory, as what workers and results keep."""
        return self if self.module else replace(self, label=str(Path(self.label).resolve()))

    def refer(self, name: str) -> str:
        """Return the reference to a name of this plugin."""
        return f"{name}@{self.sha256[:HASH_DIGITS]}"


#: reference -> the plugin that has registered it in this process
REGISTERED: dict[str, Plugin] = {}
#: reference -> what it is a name of: `a scheme`
KINDS: dict[str, str] = {}


def is_name(text: str) -> bool:
    """Return whether a plugin may register a name: letters, digits, `_`, and `-` before a letter."""
    return re.fullmatch(_NAME, text) is not None


def is_reference(value: str) -> bool:
    """Return whether a name comes from a plugin, loaded or not."""
    return _REFERENCE.fullmatch(value) is not None


def short_name(value: str) -> str:
    """Return a name without the hash of its plugin.

    >>> short_name("w-noise@00112233aabbccdd"), short_name("usf")
    ('w-noise', 'usf')
    """
    return value.partition("@")[0] if is_reference(value) else value


def without_hashes(text: str) -> str:
    """Return text, such as a dumped run, with short names: equal for two versions of a plugin."""
    return _REFERENCE.sub(lambda found: short_name(found[0]), text)


def by_short_name(known: Iterable[str]) -> dict[str, str]:
    """Return the names that are known, by what users write for them."""
    return {short_name(name): name for name in known}


def resolve(value: str, known: Collection[str]) -> str:
    """Return the name that a spec keeps for `value`; raises ValueError with the nearest one.

    A plugin's may be in upper or lower case. References to plugins that are not loaded stay, since stored results
    hold them; `check_registered` tells.
    """
    if value in known or (is_reference(value) and value not in REGISTERED):
        return value
    if value in REGISTERED:
        raise ValueError(_describe_other_kind(value, known))
    names = by_short_name(known)
    for name, reference in names.items():
        if name.lower() == value.lower() and is_reference(reference):
            return reference
    raise ValueError(f'"{value}" is not one of {", ".join(names)}.{nearest(value, names)} {HINT}')


def _describe_other_kind(reference: str, known: Iterable[str]) -> str:
    """Return the message on a plugin's name that is not one of the names that are known here."""
    owner, names = REGISTERED[reference].label, ", ".join(by_short_name(known))
    return f'"{reference}" is {KINDS[reference]} of {owner}, not one of {names}'


def know(names: Mapping[str, object]) -> AfterValidator:
    """Return the check that a value is one of these names at the time, as specs keep it."""
    return AfterValidator(lambda value: resolve(value, names))


def list_names(known: Mapping[str, object]) -> Any:
    """Return a function that adds the names known at the time of its call to the JSON Schema of a field."""

    def extend(schema: dict[str, Any]) -> None:
        schema["enum"] = list(by_short_name(known))

    return extend


def check_registered(references: Iterable[str], known: Collection[str] | None = None) -> None:
    """Raise UsageError if one of these names is of a plugin that is not loaded, or of another version of it.

    So it does if a plugin's name is not one of those that are `known`, but of another kind.
    """
    for reference in references:
        if reference in REGISTERED and known is not None and reference not in known:
            raise UsageError(_describe_other_kind(reference, known))
        if reference in REGISTERED or not is_reference(reference):
            continue
        name, _, digits = reference.partition("@")
        version = f"Add --plugin FILE with the file whose SHA-256 begins with {digits}"
        loaded = next((plugin for known, plugin in REGISTERED.items() if short_name(known) == name), None)
        if loaded:
            raise UsageError(f"{reference} is of another version of {loaded.label}. {version}, or write {name}")
        raise UsageError(f"{reference} comes from a plugin that is not loaded. {version}")
