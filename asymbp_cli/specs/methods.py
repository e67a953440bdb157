"""Names of methods <-> specs, in one place, without torch.

A *method* is feedback scheme + normalization + update rule + which layers train. Its name is written as in
the headers of the paper's tables: `uSF+BN+BM`, `brSF-25%+BN+BM2`, `RndF+BN Top`, `SGD`, `BM`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_serializer, model_validator

from asymbp_cli.errors import UsageError
from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.references import HINT, by_short_name, list_names, resolve, short_name
from asymbp_cli.specs.schemes import NUMBER_NAME, SCHEMES, Scheme, row_of, scheme_keys, schemes_with
from asymbp_cli.text import nearest


class UpdateRule(NamedTuple):
    """What is known of an update rule without its code: its name in the headers of tables, formula and source."""

    name: str
    formula: str  # w(t+1) = w(t) + rate * tau; g: gradient, m: momentum, d: weight decay
    source: str = "Liao, Leibo and Poggio 2016, section 3"


#: those of the paper by setting; plugins add theirs
UPDATES: dict[str, UpdateRule] = {
    "sgd": UpdateRule("SGD", "tau = -g + m tau(t-1) - d w"),
    "bm1": UpdateRule("BM", "tau = -sign(g) + m tau(t-1) - d w"),
    "bm2": UpdateRule("BM2", "tau = sign(-sign(g) + m tau(t-1) - d w)"),
    "bm3": UpdateRule("BM3", "tau = sign(kappa), kappa = -sign(g) + m kappa(t-1) - d w"),
}


def _sort_numbers(value: Any) -> Any:
    """Return a mapping as pairs in the order of their names, as specs keep them. Raises ValueError."""
    if not isinstance(value, Mapping | tuple):
        raise ValueError("must be a mapping of names to numbers")
    return tuple(sorted(value.items(), key=lambda pair: str(pair[0]))) if isinstance(value, Mapping) else value


def _know(names: Mapping[str, object]) -> AfterValidator:
    """Return the check that a value is one of these names at the time, as specs keep it."""
    return AfterValidator(lambda value: resolve(value, names))


#: makes 0.0 of -0.0, so that both have one identity
_UnsignedZero = AfterValidator(lambda value: value + 0.0)


class LayerFeedback(Spec):
    """What replaces W in the step that computes the error of a layer's input (eq. 2)."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the schema shows them to editors

    scheme: Annotated[str, _know(SCHEMES), Field(json_schema_extra=list_names(SCHEMES))] = "bp"
    """The scheme (asymbp ls schemes)."""
    flip_probability: Annotated[float, Field(ge=0, le=1), _UnsignedZero] = 0.0
    """Probability p that a feedback weight gets the sign *opposite* to its forward weight (S_p, section 2):
    0 = all signs agree, 1 = all are opposite."""
    sigma: Annotated[float, Field(gt=0)] = 0.05
    """Standard deviation of RndF's fixed random weights (section 2: 0.05)."""
    scale: Literal["unit", "glorot", "kaiming", "fan"] = "unit"
    """Size of sign-concordant feedback weights, by layer. `unit`: 1, and M in [0, 1), as in the paper. Otherwise
    signs are times s, and M in [0, sqrt(3) s), which has the same mean square. s is sqrt(2 / (fan_in + fan_out))
    (`glorot`), 1 / sqrt(3 fan_in) (`kaiming`), or (`fan`) sqrt(2 / (filter area * output features)) of a
    convolution and 1 / sqrt(fan_in) of an FC layer (Xiao, Chen, Liao and Poggio 2018)."""
    density: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Probability that a feedback weight is there; the others are 0, always the same."""
    alignment: Annotated[float, Field(ge=0, le=1), _UnsignedZero] = 0.5
    """Correlation r of softFA's feedback weights with the initial weights."""
    noise: Annotated[float, Field(ge=0), _UnsignedZero] = 0.5
    """Standard deviation s of the noise of `noisy`, relative to each weight."""
    expansion: Annotated[float, Field(gt=0, le=100)] = 10.0
    """PFA's width of B over the outputs of the layer."""
    mirror_rate: Annotated[float, Field(gt=0)] = 0.01
    """WM's rate: V gets that much of the sum of y x^T over a mini-batch of noise (and over its positions)."""
    mirror_noise: Annotated[float, Field(gt=0)] = 0.1
    """WM's noise is uniform between minus and plus half of that."""
    mirror_decay: Annotated[float, Field(ge=0, lt=1), _UnsignedZero] = 0.0
    """Share of V that WM takes away in every step."""
    mirror_passes: Annotated[int, Field(ge=0)] = 1
    """Epochs of mirroring before the first epoch of training."""
    last: Literal["same", "bp"] = "same"
    """`bp`: the last layer's V is its W, and only the others follow the scheme."""
    numbers: Annotated[
        tuple[tuple[Annotated[str, Field(pattern=NUMBER_NAME)], Annotated[float, _UnsignedZero]], ...],
        BeforeValidator(_sort_numbers, json_schema_input_type=dict[str, float]),
        Field(strict=False, json_schema_extra={"default": {}}),
    ] = ()
    """Of a plugin's scheme: its own parameters. Recipes may write them next to `scheme`."""

    @field_serializer("numbers")
    def _name_numbers(self, numbers: tuple[tuple[str, float], ...]) -> dict[str, float]:
        return dict(numbers)

    @model_validator(mode="after")
    def _takes_its_parameters_only(self) -> "LayerFeedback":
        if self.scheme not in SCHEMES:  # of a plugin that is not loaded
            return self
        self._check_numbers()
        for name, field in type(self).model_fields.items():
            if name in ("scheme", "numbers") or name in SCHEMES[self.scheme].parameters:
                continue
            if getattr(self, name) != field.default:
                raise ValueError(f"{name} {describe_owners(name, self.scheme)}")
        return self

    def _check_numbers(self) -> None:
        """Check the numbers, and forget those that the scheme has anyway."""
        known, kept = SCHEMES[self.scheme].numbers, []
        for name, value in self.numbers:
            if name not in known:
                raise ValueError(f"{name} is no parameter of {short_name(self.scheme)}")
            try:
                checked = known[name].check(value)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
            kept += [(name, checked)] if checked != known[name].default else []
        object.__setattr__(self, "numbers", tuple(kept))

    @property
    def kind(self) -> Scheme:
        """Return the row of the scheme."""
        return row_of(self.scheme)

    @property
    def all_numbers(self) -> dict[str, float]:
        """Return the numbers that a plugin's scheme takes, with their defaults."""
        given = dict(self.numbers)
        return {name: number.cast(given.get(name, number.default)) for name, number in self.kind.numbers.items()}


def describe_owners(parameter: str, scheme: str) -> str:
    """Return the message for a parameter that a scheme does not take: which ones do."""
    *owners, last = schemes_with(parameter)
    return f"belongs to {' and '.join(filter(None, [', '.join(owners), last]))}, not to {short_name(scheme)}"


class Feedback(LayerFeedback):
    """The feedback of all layers but the first."""

    layers: Annotated[tuple[LayerFeedback, ...], Field(strict=False)] = ()
    """Of `mixed`: the feedback of each layer but the first, in order."""

    @model_validator(mode="after")
    def _mixes_what_can_be_mixed(self) -> "Feedback":
        if (self.scheme == "mixed") != bool(self.layers):
            raise ValueError("must be the feedback of each layer but the first")
        for part in self.layers:
            scheme = part.kind
            is_simple = scheme.route == "layerwise" and not scheme.learned and "layers" not in scheme.parameters
            if not is_simple or part.last != "same":
                raise ValueError(f"{feedback_name(part)} cannot be the feedback of one layer")
        return self


class Method(Spec):
    """One way to train: a column of the paper's tables without its dataset, rate and epochs."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the schema shows them to editors

    feedback: Feedback = Feedback()
    """A scheme's name, a mapping with it and its parameters, or a list: one for each layer but the first."""
    batch_norm: Literal["none", "plain", "learnable"] = "none"
    """`learnable` has scale and shift; the paper uses it in the columns BN and BN+BM only (section 3)."""
    update: Annotated[str, _know(UPDATES), Field(json_schema_extra=list_names(UPDATES))] = "sgd"
    """Settings 0 (SGD) and 1 to 3 (Batch Manhattan) of section 3."""
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
more   = "BN" | "BM" | "BM2" | "BM3"
scheme = NAME [ "-" NUMBER "%" ] [ "-scaled" ]

Upper or lower case. Top: only the last layer trains; Bottom: all but the last.
Without a scheme: plain backpropagation. One BN and one BM at most, or an update
rule of a plugin. NAME is one of asymbp ls schemes; % of the signs are opposite;
scaled: V is as large as W."""

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
    if not feedback.keys() <= {"scheme", *SCHEMES[head].parameters} or feedback.get("flip_probability", 0) > 1:
        raise _unknown(name)
    return Method.model_validate(
        {
            "feedback": feedback,
            "batch_norm": ("learnable" if head == "bp" else "plain") if "bn" in parts else "none",
            "update": rules[updates[0]] if updates else "sgd",
            "train": (match["train"] or "all").lower(),
        }
    )


def feedback_name(feedback: LayerFeedback) -> str:
    """Return the name of a feedback, with what differs from its scheme's defaults."""
    head = feedback.kind.name
    if feedback.flip_probability:
        head += f"-{feedback.flip_probability * 100:g}%"
    if feedback.scale == "glorot":
        head += "-scaled"
    remarks = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name in type(feedback).model_fields
        if name not in ("scheme", "flip_probability", "layers", "numbers")
        and (value := getattr(feedback, name)) != type(feedback).model_fields[name].default
        and (name, value) != ("scale", "glorot")
    ]
    remarks += [f"{name} {value:g}" for name, value in feedback.numbers]
    if isinstance(feedback, Feedback) and feedback.layers:
        remarks.append(", ".join(map(feedback_name, feedback.layers)))
    return f"{head} ({', '.join(remarks)})" if remarks else head


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
