"""Names of methods <-> specs, in one place, without torch.

A *method* is feedback scheme + normalization + update rule + which layers train. Its name is written as in
the headers of the paper's tables: `uSF+BN+BM`, `brSF-25%+BN+BM2`, `RndF+BN Top`, `SGD`, `BM`.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from asymbp_cli.errors import UsageError
from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.schemes import SCHEMES, schemes_with
from asymbp_cli.text import nearest


def _known(key: str) -> str:
    if key not in SCHEMES:
        raise ValueError(f'"{key}" is not one of {", ".join(SCHEMES)}.{nearest(key, SCHEMES)}')
    return key


def _list_schemes(schema: dict[str, Any]) -> None:
    schema["enum"] = list(SCHEMES)


class Feedback(Spec):
    """What replaces W in the step that computes the error of a layer's input (eq. 2)."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the schema shows them to editors

    scheme: Annotated[str, AfterValidator(_known), Field(json_schema_extra=_list_schemes)] = "bp"
    """bp, usf, nusf, brsf, frsf or rndf (asymbp ls schemes)."""
    flip_probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability p that a feedback weight gets the sign *opposite* to its forward weight (S_p, section 2):
    0 = all signs agree, 1 = all are opposite."""
    sigma: Annotated[float, Field(gt=0)] = 0.05
    """Standard deviation of RndF's fixed random weights (section 2: 0.05)."""

    @model_validator(mode="after")
    def _takes_its_parameters_only(self) -> "Feedback":
        for name, field in type(self).model_fields.items():
            if name == "scheme" or name in SCHEMES[self.scheme].parameters:
                continue
            if getattr(self, name) != field.default:
                raise ValueError(f"{name} belongs to {' and '.join(schemes_with(name))}, not to {self.scheme}")
        return self


class Method(Spec):
    """One way to train: a column of the paper's tables without its dataset, rate and epochs."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the schema shows them to editors

    feedback: Feedback = Feedback()
    """A scheme's name, or a mapping with it and its probability or standard deviation."""
    batch_norm: Literal["none", "plain", "learnable"] = "none"
    """`learnable` has scale and shift; the paper uses it in the columns BN and BN+BM only (section 3)."""
    update: Literal["sgd", "bm1", "bm2", "bm3"] = "sgd"
    """Settings 0 (SGD) and 1 to 3 (Batch Manhattan) of section 3."""
    train: Literal["all", "top", "bottom"] = "all"
    """`top`: only the last layer; `bottom`: all but the last (Exp. C2, Table 4)."""


_NAME = re.compile(
    r"(?P<head>sgd|bm[1-3]?|bn|[a-z][a-z0-9_]*(?:-(?P<percent>[0-9]+(?:\.[0-9]+)?)%)?)"
    r"(?P<parts>(?:\+(?:bn|bm[1-3]?))*)(?:\s+(?P<train>top|bottom))?",
    re.IGNORECASE,
)


def parse_method(name: str) -> Method:
    """Return the method that a header of the paper's tables names; `brSF-25%` flips a quarter of the signs.

    BN carries learnable scale and shift with plain backpropagation only, as in the paper.
    Raises UsageError with the nearest known name.
    """
    match = _NAME.fullmatch(name.strip())
    if match is None:
        raise _unknown(name)
    head = match["head"].split("-")[0].lower()
    parts = [part for part in match["parts"].lower().split("+") if part]
    if head in ("bn", "bm", "bm1", "bm2", "bm3"):
        parts, head = [head, *parts], "bp"
    if head == "sgd":
        head = "bp"
    has_bn = "bn" in parts
    updates = [part for part in parts if part != "bn"]
    if head not in SCHEMES or len(updates) > 1 or parts.count("bn") > 1:
        raise _unknown(name)
    flips = "flip_probability" in SCHEMES[head].parameters
    if match["percent"] and (not flips or float(match["percent"]) > 100):
        raise _unknown(name)
    update = {"bm": "bm1"}.get(updates[0], updates[0]) if updates else "sgd"
    normalization = ("learnable" if head == "bp" else "plain") if has_bn else "none"
    flip = float(match["percent"]) / 100 if match["percent"] else 0.0
    return Method.model_validate(
        {
            "feedback": {"scheme": head, "flip_probability": flip},
            "batch_norm": normalization,
            "update": update,
            "train": (match["train"] or "all").lower(),
        }
    )


def method_name(method: Method) -> str:
    """Return the paper's name of `method` (inverse of `parse_method`), with remarks if it has none."""
    feedback = method.feedback
    head = SCHEMES[feedback.scheme].name
    if feedback.flip_probability:
        head += f"-{feedback.flip_probability * 100:g}%"
    parts = [] if feedback.scheme == "bp" else [head]
    if method.batch_norm != "none":
        parts.append("BN")
    if method.update != "sgd":
        parts.append("BM" if method.update == "bm1" else method.update.upper())
    name = "+".join(parts) or "SGD"
    if feedback.sigma != 0.05:
        name += f" (sigma {feedback.sigma:g})"
    if method.batch_norm != "none" and (method.batch_norm == "learnable") != (feedback.scheme == "bp"):
        name += " (learnable BN)" if method.batch_norm == "learnable" else " (plain BN)"
    return name if method.train == "all" else f"{name} {method.train.capitalize()}"


#: every distinct model of Tables 2 to 5, by the paper's name
PAPER_METHODS: tuple[str, ...] = tuple(
    ["SGD", "BM", "BM2", "BM3", "BN", "BN+BM"]
    + ["uSF", "NuSF", "uSF+BM", "uSF+BN", "uSF+BN+BM", "uSF+BN+BM2", "uSF+BN+BM3"]
    + ["brSF+BN+BM", "frSF+BN+BM"]
    + [f"{scheme}-{p}%+BN+BM" for scheme in ("brSF", "frSF") for p in (100, 75, 50, 25)]
    + ["RndF", "RndF+BN", "RndF+BM", "RndF+BN+BM"]
    + [f"{name} {part}" for name in ["SGD", "RndF", "RndF+BN+BM", "uSF+BN+BM"] for part in ("Bottom", "Top")]
)


def _unknown(name: str) -> UsageError:
    return UsageError(f'"{name}" is not a method.{nearest(name, PAPER_METHODS)} (asymbp ls methods)')
