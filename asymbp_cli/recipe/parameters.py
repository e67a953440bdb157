"""Parameters of schemes that stand beside a method: what it is called with them, spelled out."""

from collections.abc import Mapping
from typing import Any

from asymbp_cli.errors import UsageError
from asymbp_cli.specs.feedback import describe_owners, shorten_feedback
from asymbp_cli.specs.methods import Method, parse_method
from asymbp_cli.specs.schemes import SCHEMES, find_scheme, schemes_with

_FIRST = "brsf"  # of the schemes that are offered


def place_parameter(name: str, value: str, beside: Mapping[str, Any]) -> str:
    """Return the message for a parameter that is beside a method or a scheme, not inside of `feedback`."""
    owners = schemes_with(name)
    feedback: dict[str, Any] = {"scheme": _FIRST if _FIRST in owners else owners[0]}
    rest: dict[str, Any] = {}
    if (method := _read_method(beside)) is not None:
        if name not in SCHEMES[method.feedback.scheme].parameters:
            return describe_owners(name, method.feedback.scheme)
        short = shorten_feedback(method.feedback)
        feedback = {"scheme": short} if isinstance(short, str) else short
        rest = method.model_dump(mode="json", exclude={"feedback"}, exclude_defaults=True)
    elif (scheme := _read_scheme(beside.get("feedback"))) is not None:
        if name not in SCHEMES[scheme["scheme"]].parameters:
            return describe_owners(name, scheme["scheme"])
        feedback = scheme
    inside = ", ".join(f"{key}: {item}" for key, item in (feedback | {name: value}).items())
    after = "".join(f", {key}: {item}" for key, item in rest.items())
    written = f"feedback: {{{inside}}}{after}"
    if "method" not in beside:
        return f"belongs in feedback. Write {written}"
    article = "a" if isinstance(beside["method"], list) else "this"
    return f"belongs in feedback. In place of {article} method write {written}"


def _read_method(beside: Mapping[str, Any]) -> Method | None:
    """Return the method that is named there; None if none is, or no single one that is known."""
    name = beside.get("method")
    try:
        return parse_method(name) if isinstance(name, str) else None
    except UsageError:
        return None


def _read_scheme(written: Any) -> dict[str, Any] | None:
    """Return a feedback that is written with one known scheme, as a mapping."""
    feedback = dict(written) if isinstance(written, Mapping) else {"scheme": written}
    try:
        return feedback | {"scheme": find_scheme(feedback.get("scheme"))}
    except UsageError:
        return None
