"""Names of feedback schemes and methods <-> specs, in one place, without torch.

A *method* is feedback scheme + normalization + update rule + which layers train. Its name is written as in
the headers of the paper's tables: `uSF+BN+BM`, `brSF-25%+BN+BM2`, `RndF+BN Top`, `SGD`, `BM`.
"""

import re
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from asymbp_cli.errors import UsageError, nearest
from asymbp_cli.specs.base import Spec

Scheme = Literal["bp", "usf", "nusf", "brsf", "frsf", "rndf"]

#: scheme -> (name as the paper writes it, feedback weights V, when redrawn); section 2 and 5 of the paper
SCHEMES: dict[str, tuple[str, str, str]] = {
    "bp": ("BP", "W", "-"),
    "usf": ("uSF", "sign(W)", "-"),
    "nusf": ("NuSF", "sign(W) / (filter width * filter height * input features)", "-"),
    "brsf": ("brSF", "M o sign(W) [o S_p]", "M and S_p after every update of W"),
    "frsf": ("frSF", "M o sign(W) [o S_p]", "never: M and S_p are drawn once"),
    "rndf": ("RndF", "N(0, sigma^2), sigma = 0.05: feedback alignment", "never"),
}


class Feedback(Spec):
    """What replaces W in the step that computes the error of a layer's input (eq. 2)."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the schema shows them to editors

    scheme: Scheme = "bp"
    """bp, usf, nusf, brsf, frsf or rndf (asymbp ls schemes)."""
    flip_probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Probability p that a feedback weight gets the sign *opposite* to its forward weight (S_p, section 2):
    0 = all signs agree, 1 = all are opposite. Only brSF and frSF have it."""
    sigma: Annotated[float, Field(gt=0)] = 0.05
    """Standard deviation of RndF's fixed random weights (section 2: 0.05). Only RndF has it."""

    @model_validator(mode="after")
    def _only_where_used(self) -> "Feedback":
        if self.flip_probability and self.scheme not in ("brsf", "frsf"):
            raise ValueError(f"flip_probability belongs to brsf and frsf, not to {self.scheme}")
        if self.sigma != 0.05 and self.scheme != "rndf":
            raise ValueError(f"sigma belongs to rndf, not to {self.scheme}")
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
    r"(?P<head>sgd|bm[1-3]?|bn|[a-z]+(?:-(?P<percent>\d+(?:\.\d+)?)%)?)"
    r"(?P<parts>(?:\+(?:bn|bm[1-3]?))*)(?:\s+(?P<train>top|bottom))?",
    re.IGNORECASE,
)


def find_scheme(name: object) -> str:
    """Return the scheme of that name in any case (`brsf-p` is brsf); raises UsageError with the nearest one."""
    if not isinstance(name, str):
        raise UsageError("must be the name of a scheme, or a mapping with one (asymbp ls schemes)")
    if name.lower() not in (*SCHEMES, "brsf-p", "frsf-p"):
        raise UsageError(f'"{name}" is not a scheme.{nearest(name, SCHEMES)} (asymbp ls schemes)')
    return name.lower().removesuffix("-p")


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
    if match["percent"] and (head not in ("brsf", "frsf") or float(match["percent"]) > 100):
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
    """Return the paper's name of `method` (inverse of `parse_method`), with remarks where it has none."""
    feedback = method.feedback
    head = SCHEMES[feedback.scheme][0]
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
PAPER_METHODS: tuple[str, ...] = (
    *("SGD", "BM", "BM2", "BM3", "BN", "BN+BM"),
    *("uSF", "NuSF", "uSF+BM", "uSF+BN", "uSF+BN+BM", "uSF+BN+BM2", "uSF+BN+BM3"),
    *("brSF+BN+BM", "frSF+BN+BM"),
    *(f"{scheme}-{p}%+BN+BM" for scheme in ("brSF", "frSF") for p in (100, 75, 50, 25)),
    *("RndF", "RndF+BN", "RndF+BM", "RndF+BN+BM"),
    *(f"{name} {part}" for name in ("SGD", "RndF", "RndF+BN+BM", "uSF+BN+BM") for part in ("Bottom", "Top")),
)


def _unknown(name: str) -> UsageError:
    return UsageError(f'"{name}" is not a method.{nearest(name, PAPER_METHODS)} (asymbp ls methods)')
