"""Names of methods <-> specs, in one place, without torch.

A *method* is feedback scheme + normalization + update rule + which layers train. Its name is written as in
the headers of the paper's tables: `uSF+BN+BM`, `brSF-25%+BN+BM2`, `RndF+BN Top`, `SGD`, `BM`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import ConfigDict, Field

from asymbp_cli.errors import UsageError
from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.feedback import Feedback, describe_owners, feedback_name
from asymbp_cli.specs.references import HINT, by_short_name, know, list_names, short_name
from asymbp_cli.specs.schemes import SCHEMES, scheme_keys
from asymbp_cli.text import nearest


class UpdateRule(NamedTuple):
    """What is known of an update rule without its code: its name in the headers of tables, formula and source."""

    name: str
    formula: str  # w(t+1) = w(t) + rate * tau; g: gradient, m: momentum, d: weight decay
    source: str = "Liao, Leibo and Poggio 2016, section 3"
    states: int = 1  # numbers that it keeps of each weight


#: those of the paper by setting, and Adam; plugins add theirs
UPDATES: dict[str, UpdateRule] = {
    "sgd": UpdateRule("SGD", "tau = -g + m tau(t-1) - d w"),
    "bm1": UpdateRule("BM", "tau = -sign(g) + m tau(t-1) - d w"),
    "bm2": UpdateRule("BM2", "tau = sign(-sign(g) + m tau(t-1) - d w)"),
    "bm3": UpdateRule("BM3", "tau = sign(kappa), kappa = -sign(g) + m kappa(t-1) - d w"),
    "adam": UpdateRule(
        "Adam",
        "tau = -a / (sqrt(b) + epsilon), a and b: corrected averages of g + d w and its square",
        "Kingma and Ba 2015",
        states=2,
    ),
}


class Method(Spec):
    """One way to train: a column of the paper's tables without its dataset, rate and epochs."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the schema shows them to editors

    feedback: Feedback = Feedback()
    """A scheme's name, a mapping with it and its parameters, or a list: one for each layer but the first."""
    batch_norm: Literal["none", "plain", "learnable"] = "none"
    """`learnable` has scale and shift; the paper uses it in the columns BN and BN+BM only (section 3)."""
    update: Annotated[str, know(UPDATES), Field(json_schema_extra=list_names(UPDATES))] = "sgd"
    """Settings 0 (SGD) and 1 to 3 (Batch Manhattan) of section 3, or Adam."""
    train: Literal["all", "top", "bottom"] = "all"
    """`top`: only the last layer; `bottom`: all but the last (Exp. C2, Table 4)."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its schemes and its update rule, which plugins may have added."""
        return self.feedback.scheme, *(part.scheme for part in self.feedback.layers), self.update


#: how a name of a method is written, for people with 80 columns
METHOD_GRAMMAR = """\
method = first { "+" more } [ " Top" | " Bottom" ]
first  = "SGD" | scheme | more
more   = "BN" | "BM" | "BM2" | "BM3" | "Adam"
scheme = NAME [ "-" NUMBER "%" ] [ "-scaled" ]

Upper or lower case. Top: only the last layer trains; Bottom: all but the last.
Without a scheme: plain backpropagation. One BN at most, and one BM, Adam or
update rule of a plugin. NAME is one of asymbp ls schemes; % of the signs are
opposite; scaled: V is as large as W."""

METHOD_NAME = re.compile(
    r"(?P<head>[a-z][a-z0-9_]*(?:-[a-z][a-z0-9_]*)*?)(?:-(?P<percent>[0-9]+(?:\.[0-9]+)?)%)?(?P<scaled>-scaled)?"
    r"(?P<parts>(?:\+[a-z][a-z0-9_-]*)*)(?:\s+(?P<train>top|bottom))?",
    re.IGNORECASE,
)


def update_keys() -> dict[str, str]:
    """Return the update rules by what follows a `+` in a name, in lower case: all but SGD, which none has."""
    return {"bm": "bm1"} | {name.lower(): key for name, key in by_short_name(UPDATES).items() if key != "sgd"}


def parse_method(name: str) -> Method:
    """Return the method that a header of the paper's tables names; `brSF-25%` flips a quarter of the signs.

    `uSF-scaled` has the scale `glorot`. BN carries learnable scale and shift with plain backpropagation only, as
    in the paper. Raises UsageError with the nearest known name.
    """
    match = METHOD_NAME.fullmatch(name.strip())
    if match is None:
        raise _unknown(name)
    head, parts, rules = match["head"].lower(), match["parts"].lower().split("+")[1:], update_keys()
    if head == "bn" or head in rules:
        parts, head = [head, *parts], "bp"
    head = "bp" if head == "sgd" else scheme_keys().get(head, "")
    updates = [part for part in parts if part != "bn"]
    if not head or head == "mixed" or len(updates) > 1 or not rules.keys() >= {*updates} or parts.count("bn") > 1:
        raise _unknown(name)
    feedback: dict[str, Any] = {"scheme": head}
    if match["percent"]:
        feedback["flip_probability"] = float(match["percent"]) / 100
    if match["scaled"]:
        feedback["scale"] = "glorot"
    _check_parameters(name, feedback, match)
    return Method.model_validate(
        {
            "feedback": feedback,
            "batch_norm": ("learnable" if head == "bp" else "plain") if "bn" in parts else "none",
            "update": rules[updates[0]] if updates else "sgd",
            "train": (match["train"] or "all").lower(),
        }
    )


def _check_parameters(name: str, feedback: Mapping[str, Any], match: re.Match[str]) -> None:
    """Check that the scheme takes the share of opposite signs and the scale of a name. Raises UsageError."""
    for parameter, written in ("flip_probability", f"-{match['percent']}%"), ("scale", match["scaled"]):
        if parameter in feedback and parameter not in SCHEMES[feedback["scheme"]].parameters:
            owners = describe_owners(parameter, feedback["scheme"])
            raise UsageError(f'"{name}" is not a method: {written} ({parameter}) {owners} (asymbp ls schemes)')
    if feedback.get("flip_probability", 0) > 1:
        raise UsageError(f'"{name}" is not a method: the share of opposite signs is at most 100%')


def method_name(method: Method) -> str:
    """Return the paper's name of `method` (inverse of `parse_method`), with remarks if it has none."""
    feedback = method.feedback
    head, _, remarks = feedback_name(feedback).partition(" ")
    parts = [] if feedback.scheme == "bp" else [head]
    if method.batch_norm != "none":
        parts.append("BN")
    if method.update != "sgd":
        parts.append(UPDATES[method.update].name if method.update in UPDATES else short_name(method.update))
    name = " ".join(["+".join(parts) or "SGD", *([remarks] if remarks else [])])
    if method.batch_norm != "none" and (method.batch_norm == "learnable") != (feedback.scheme == "bp"):
        name += " (learnable BN)" if method.batch_norm == "learnable" else " (plain BN)"
    return name if method.train == "all" else f"{name} {method.train.capitalize()}"


#: every distinct model of Tables 2 to 5, by the paper's name
PAPER_METHODS: tuple[str, ...] = tuple(
    ["SGD", "BM", "BM2", "BM3", "BN", "BN+BM", "uSF", "NuSF", "uSF+BM", "uSF+BN", "uSF+BN+BM", "uSF+BN+BM2"]
    + ["uSF+BN+BM3", "brSF+BN+BM", "frSF+BN+BM"]
    + [f"{scheme}-{p}%+BN+BM" for scheme in ("brSF", "frSF") for p in (100, 75, 50, 25)]
    + ["RndF", "RndF+BN", "RndF+BM", "RndF+BN+BM"]
    + [f"{name} {part}" for name in ["SGD", "RndF", "RndF+BN+BM", "uSF+BN+BM"] for part in ("Bottom", "Top")]
)


def _unknown(name: str) -> UsageError:
    """Return the error for a name that is no method: how to write several, or the nearest one."""
    parts = [part.strip() for part in re.split(r"[,;/|&]|\band\b", name)]
    if len(parts) > 1 and all(map(METHOD_NAME.fullmatch, parts)):
        return UsageError(f'"{name}" is not a method. Write several as a list: [{", ".join(parts)}]')
    if repaired := _repair(name):
        return UsageError(f'"{name}" is not a method. Did you mean "{repaired}"? (asymbp ls methods)')
    return UsageError(f'"{name}" is not a method.{nearest(name, PAPER_METHODS)} {HINT} (asymbp ls methods)')


def _repair(name: str) -> str:
    """Return the method that a name means but for spaces, other signs between its parts, or a missing %."""
    plain = re.sub(r"\s*[+_]\s*|\s+(?!top|bottom)", "+", name.strip(), flags=re.IGNORECASE)
    plain = re.sub(r"-([0-9]+(?:\.[0-9]+)?)\s*%?(?=\+|\s|$)", r"-\1%", plain)
    try:
        return plain if plain != name and METHOD_NAME.fullmatch(plain) and parse_method(plain) else ""
    except UsageError:
        return ""
