"""Feedback schemes as data, a row each; their builders are in `training/feedback.py`. No torch."""

from dataclasses import dataclass

from asymbp_cli.errors import UsageError
from asymbp_cli.text import nearest


@dataclass(frozen=True)
class Scheme:
    """What is known of a scheme without its numbers.

    `parameters` are the fields of `Feedback` that it takes. `per_replica`, `per_stack` and, if signs flip,
    `per_stack_to_flip` count vectors of V's size that it keeps, for planning memory.
    """

    name: str  # as the paper writes it
    formula: str  # of the feedback weights V
    redrawn: str  # when its random draws are made
    source: str
    parameters: tuple[str, ...] = ()
    per_replica: int = 1
    per_stack: int = 0
    per_stack_to_flip: int = 0


_PAPER = "Liao, Leibo and Poggio 2016"

SCHEMES: dict[str, Scheme] = {
    "bp": Scheme(
        name="BP",
        formula="W",
        redrawn="-",
        source="Rumelhart, Hinton and Williams 1986",
        per_replica=0,
    ),
    "usf": Scheme(
        name="uSF",
        formula="sign(W)",
        redrawn="-",
        source=f"{_PAPER}, section 2",
    ),
    "nusf": Scheme(
        name="NuSF",
        formula="sign(W) / (filter width * filter height * input features)",
        redrawn="-",
        source=f"{_PAPER}, section 5, Exp. A",
        per_stack=1,
    ),
    "brsf": Scheme(
        name="brSF",
        formula="M o sign(W) [o S_p]",
        redrawn="M and S_p after every update of W",
        source=f"{_PAPER}, section 2",
        parameters=("flip_probability",),
        per_stack=1,
        per_stack_to_flip=3,  # the draw of S_p, that minus p, and M o S_p
    ),
    "frsf": Scheme(
        name="frSF",
        formula="M o sign(W) [o S_p]",
        redrawn="never: M and S_p are drawn once",
        source=f"{_PAPER}, section 2",
        parameters=("flip_probability",),
        per_stack=1,
    ),
    "rndf": Scheme(
        name="RndF",
        formula="N(0, sigma^2), sigma = 0.05: feedback alignment",
        redrawn="never",
        source=f"Lillicrap, Cownden, Tweed and Akerman 2014; {_PAPER}, section 2",
        parameters=("sigma",),
        per_replica=0,
        per_stack=1,
    ),
}


def find_scheme(name: object) -> str:
    """Return the key of the scheme of that name, in any case (`brsf-p` is brsf).

    Raises UsageError with the nearest one.
    """
    if not isinstance(name, str):
        raise UsageError("must be the name of a scheme, or a mapping with one (asymbp ls schemes)")
    key = name.lower()
    if key.endswith("-p") and "flip_probability" in _parameters(key.removesuffix("-p")):
        key = key.removesuffix("-p")
    if key not in SCHEMES:
        raise UsageError(f'"{name}" is not a scheme.{nearest(name, SCHEMES)} (asymbp ls schemes)')
    return key


def _parameters(key: str) -> tuple[str, ...]:
    return SCHEMES[key].parameters if key in SCHEMES else ()


def schemes_with(parameter: str) -> list[str]:
    """Return the schemes that take a parameter."""
    return [key for key, scheme in SCHEMES.items() if parameter in scheme.parameters]
