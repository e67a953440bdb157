"""A method under a protocol, and in words how one protocol differs from another."""

import json
from typing import Any

from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.methods import Method
from asymbp_cli.specs.protocol import BatchSize, Protocol
from asymbp_cli.specs.references import is_reference, without_hashes
from asymbp_cli.text import count


class Procedure(Spec):
    """A method under a protocol: one source of runs for a column."""

    method: Method
    protocol: Protocol

    @property
    def references(self) -> tuple[str, ...]:
        """What the procedure uses of plugins, each once."""
        names = (*self.method.names, *self.protocol.names)
        return tuple(dict.fromkeys(name for name in names if is_reference(name)))


def changed_values(base: Protocol, protocol: Protocol) -> dict[str, Any]:
    """Return the fields of `protocol`, as YAML would hold them, that differ from `base`."""
    before, after = (_dump(one) for one in (base, protocol))
    return {key: value for key, value in after.items() if value != before[key]}


def _dump(protocol: Protocol) -> dict[str, Any]:
    """Return a protocol as YAML would hold it; labels of early tables knew no decay of phases."""
    content = protocol.model_dump(mode="json")
    for phase in content["phases"]:
        if phase["decay"] == 1:
            del phase["decay"]
    return content


def label_changes(base: Protocol, protocol: Protocol) -> str:
    """Return the end of a label, after the name of `base`: ` with epochs=3`; empty if nothing differs."""
    changes = ", ".join(f"{key}={json.dumps(value)}" for key, value in changed_values(base, protocol).items())
    return without_hashes(f" with {changes}".replace('"', "")) if changes else ""


def describe_changes(base: Protocol, protocol: Protocol) -> str:
    """Return the fields of `protocol` that differ from `base`, in words: `weight_decay 0, batch_size 50`."""
    return ", ".join(
        f"{name} {without_hashes(describe_field(protocol, name))}"
        for name in Protocol.model_fields
        if getattr(protocol, name) != getattr(base, name)
    )


def describe_field(protocol: Protocol, name: str) -> str:
    """Return the value of a field in words: of phases their epochs, rates, and weight decay if it changes."""
    if name != "phases":
        return _describe_value(getattr(protocol, name))
    changes = {phase.decay for phase in protocol.phases} != {1.0}
    return ", ".join(
        f"{count(epochs, 'epoch')} at {rate:g}"
        + (f" with weight decay {protocol.weight_decay * phase.decay:g}" if changes else "")
        for (epochs, rate), phase in zip(protocol.schedule(), protocol.phases, strict=False)
    )


def _describe_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, BatchSize):
        return f"{value.size} from epoch {value.from_epoch}"
    if isinstance(value, tuple):
        return ", ".join(map(_describe_value, value)) or "none"
    return f"{value}".removesuffix(".0")
