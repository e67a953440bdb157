"""Feedback schemes as data, a row each; their builders are in `training/feedback/schemes.py`. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Literal

from asymbp_cli.errors import UsageError
from asymbp_cli.specs.references import HINT, by_short_name, check_registered, short_name
from asymbp_cli.text import nearest

#: What the V of a layer carries to its input: the error of its output (`layerwise`), or what the network's output
#: sends straight to it: the error, its sign, or the target (one-hot labels).
Route = Literal["layerwise", "direct-error", "direct-sign", "direct-target"]

#: How a V that is saved with the weights changes: by the update rule and a gradient of its own, or by mirroring W.
Learned = Literal["", "gradient", "mirror"]

#: of the numbers of a plugin's scheme
NUMBER_NAME = "^[A-Za-z][A-Za-z0-9_]{0,39}$"


@dataclass(frozen=True)
class Number:
    """A parameter of a plugin's scheme, with its bounds; whole numbers only if the `default` is one."""

    default: float
    least: float | None = None
    most: float | None = None

    def check(self, value: object) -> float:
        """Return a value, as specs keep it, if the scheme takes it; raises ValueError otherwise."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError("must be a number")
        try:
            number = float(value) + 0.0  # of -0.0 too it makes 0.0, so that both have one identity
        except OverflowError:
            number = inf
        if not isfinite(number):
            raise ValueError("must be a finite number, of at most 1.8e308")
        if isinstance(self.default, int) and not number.is_integer():
            raise ValueError("must be a whole number")
        if not (-inf if self.least is None else self.least) <= number <= (inf if self.most is None else self.most):
            bounds = (("at least", self.least), ("at most", self.most))
            raise ValueError(f"must be {' and '.join(f'{how} {at:g}' for how, at in bounds if at is not None)}")
        return number

    def cast(self, value: float) -> float:
        """Return a checked value as the scheme's function gets it."""
        return type(self.default)(value)


@dataclass(frozen=True)
class Scheme:
    """What is known of a scheme without its numbers.

    `parameters` are the fields of `Feedback` that it takes; a plugin's also takes `numbers` of its own.
    `per_replica`, `per_stack` and, if signs flip, `per_stack_to_flip` count vectors of V's size that it keeps, for
    planning memory.
    """

    name: str  # as its paper writes it
    formula: str  # of the feedback weights V
    redrawn: str  # when its random draws are made
    source: str
    parameters: tuple[str, ...] = ()
    route: Route = "layerwise"
    learned: Learned = ""
    per_replica: int = 1
    per_stack: int = 0
    per_stack_to_flip: int = 0
    numbers: Mapping[str, Number] = field(default_factory=dict, hash=False)

    @property
    def takes(self) -> tuple[str, ...]:
        """The names of all parameters."""
        return (*self.parameters, *self.numbers)


_PAPER = "Liao, Leibo and Poggio 2016"
_AKROUT = "Akrout, Wilson, Humphreys, Lillicrap and Tweed 2019"
_DIRECT = "drawn as W is, classes x inputs"

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
        parameters=("scale", "density", "last"),
    ),
    "nusf": Scheme(
        name="NuSF",
        formula="sign(W) / (filter width * filter height * input features)",
        redrawn="-",
        source=f"{_PAPER}, section 5, Exp. A",
        parameters=("density", "last"),
        per_stack=1,
    ),
    "brsf": Scheme(
        name="brSF",
        formula="M o sign(W) [o S_p]",
        redrawn="M and S_p after every update of W",
        source=f"{_PAPER}, section 2",
        parameters=("flip_probability", "scale", "density", "last"),
        per_stack=1,
        per_stack_to_flip=3,  # the draw of S_p, that minus p, and M o S_p
    ),
    "frsf": Scheme(
        name="frSF",
        formula="M o sign(W) [o S_p]",
        redrawn="never: M and S_p are drawn once",
        source=f"{_PAPER}, section 2",
        parameters=("flip_probability", "scale", "density", "last"),
        per_stack=1,
    ),
    "rndf": Scheme(
        name="RndF",
        formula="N(0, sigma^2), sigma = 0.05: feedback alignment",
        redrawn="never",
        source=f"Lillicrap, Cownden, Tweed and Akerman 2014; {_PAPER}, section 2",
        parameters=("sigma", "density", "last"),
        per_replica=0,
        per_stack=1,
    ),
    "fa": Scheme(
        name="FA",
        formula="drawn as W is, independently: feedback alignment",
        redrawn="never",
        source="Lillicrap, Cownden, Tweed and Akerman 2016",
        parameters=("density", "last"),
        per_replica=0,
        per_stack=1,
    ),
    "soft": Scheme(
        name="softFA",
        formula="r W(0) + sqrt(1 - r^2) W', W' drawn as W is; r is the alignment",
        redrawn="never",
        source="Bordelon and Pehlevan 2022; Cheon et al. 2025",
        parameters=("alignment", "density", "last"),
        per_replica=0,
        per_stack=1,
    ),
    "startsf": Scheme(
        name="startSF",
        formula="sign(W(0)): the signs at the start",
        redrawn="never",
        source="uSF with the signs kept",
        parameters=("scale", "density", "last"),
        per_replica=0,
        per_stack=1,
    ),
    "noisy": Scheme(
        name="noisy",
        formula="W + s N(0, 1) o |W|; s is the noise",
        redrawn="after every update of W",
        source="a test of how exact V must be",
        parameters=("noise", "last"),
        per_stack=1,
    ),
    "ternary": Scheme(
        name="ternary",
        formula="a sign(W) if |W| > 0.7 mean|W|, else 0; a is the mean |W| of those, by layer",
        redrawn="-",
        source="Li, Zhang and Liu 2016 (their ternary W, taken for V)",
        parameters=("last",),
    ),
    "sham": Scheme(
        name="sham",
        formula="W, by the way of the other schemes: equals BP to the bit",
        redrawn="-",
        source="a test of the engine",
    ),
    "mixed": Scheme(
        name="mixed",
        formula="a scheme for each layer but the first",
        redrawn="as theirs",
        source="-",
        parameters=("layers",),
        per_stack=3,
    ),
    "kp": Scheme(
        name="KP",
        formula="starts as FA's, then gets every increment of W, and decays like W",
        redrawn="-",
        source=f"Kolen and Pollack 1994; {_AKROUT}",
        learned="gradient",
        per_replica=0,
    ),
    "wm": Scheme(
        name="WM",
        formula="starts as FA's; each step V = (1 - decay) V + rate sum(y x^T), y = f(W x + b), x noise",
        redrawn="x for every mini-batch",
        source=f"the weight mirror of {_AKROUT}",
        parameters=("mirror_rate", "mirror_noise", "mirror_decay", "mirror_passes"),
        learned="mirror",
        per_replica=0,
    ),
    "pfa": Scheme(
        name="PFA",
        formula="B R; B is fixed, outputs x (expansion * outputs), and R learns from the error d B",
        redrawn="never: B is drawn once",
        source="Ji-An and Benna 2024",
        parameters=("expansion",),
        learned="gradient",
        per_replica=0,
    ),
    "pfa-o": Scheme(
        name="PFA-o",
        formula="B R; B is fixed and orthogonal, and R learns from the error d B",
        redrawn="never: B is drawn once",
        source="Ji-An and Benna 2024",
        learned="gradient",
        per_replica=0,
    ),
    "dfa": Scheme(
        name="DFA",
        formula=f"{_DIRECT}; carries the error of the logits",
        redrawn="never",
        source="Nokland 2016",
        parameters=("density",),
        route="direct-error",
        per_replica=0,
        per_stack=1,
    ),
    "sdfa": Scheme(
        name="sDFA",
        formula=f"{_DIRECT}; carries the sign of the error of the logits, 0 if that rounds to 0",
        redrawn="never",
        source="Frenkel et al. 2021",
        parameters=("density",),
        route="direct-sign",
        per_replica=0,
        per_stack=1,
    ),
    "drtp": Scheme(
        name="DRTP",
        formula=f"{_DIRECT}; carries the one-hot label",
        redrawn="never",
        source="Frenkel et al. 2021",
        parameters=("density",),
        route="direct-target",
        per_replica=0,
        per_stack=1,
    ),
    "dkp": Scheme(
        name="DKP",
        formula="starts as DFA's; its gradient is e^T a, e the error of the logits, a the layer's input",
        redrawn="-",
        source="Webster et al. 2021",
        route="direct-error",
        learned="gradient",
        per_replica=0,
    ),
}


def find_scheme(name: object) -> str:
    """Return the key of the scheme of that name, in any case (`brsf-p` is brsf).

    Raises UsageError with the nearest one, or if it is of a plugin that is not loaded.
    """
    if not isinstance(name, str):
        raise UsageError("must be the name of a scheme, or a mapping with one (asymbp ls schemes)")
    key = name.lower()
    if key.endswith("-p") and "flip_probability" in _parameters(key.removesuffix("-p")):
        key = key.removesuffix("-p")
    check_registered([name], SCHEMES)
    if key not in (keys := scheme_keys()):
        hint = nearest(name, by_short_name(SCHEMES))
        raise UsageError(f'"{name}" is not a scheme.{hint} {HINT} (asymbp ls schemes)')
    return keys[key]


def scheme_keys() -> dict[str, str]:
    """Return the keys of schemes by key, with and without a plugin's hash, and by name, in lower case."""
    return {name.lower(): key for key, scheme in SCHEMES.items() for name in (key, short_name(key), scheme.name)}


def row_of(key: str) -> Scheme:
    """Return the row of a scheme; of a plugin that is not loaded only the name is known."""
    if key in SCHEMES:
        return SCHEMES[key]
    return Scheme(name=short_name(key), formula="?", redrawn="?", source="a plugin that is not loaded")


def _parameters(key: str) -> tuple[str, ...]:
    return SCHEMES[key].parameters if key in SCHEMES else ()


def schemes_with(parameter: str) -> list[str]:
    """Return the schemes that take a parameter."""
    return [short_name(key) for key, scheme in SCHEMES.items() if parameter in scheme.parameters]
