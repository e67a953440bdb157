"""What a method sends errors back with: its scheme, the parameters of the scheme, and their names. No torch."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_serializer, model_validator

from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.references import know, list_names, short_name
from asymbp_cli.specs.schemes import NUMBER_NAME, SCHEMES, Scheme, row_of, schemes_with


def _sort_numbers(value: Any) -> Any:
    """Return a mapping as pairs in the order of their names, as specs keep them. Raises ValueError."""
    if not isinstance(value, Mapping | tuple):
        raise ValueError("must be a mapping of names to numbers")
    return tuple(sorted(value.items(), key=lambda pair: str(pair[0]))) if isinstance(value, Mapping) else value


#: makes 0.0 of -0.0, so that both have one identity
_UnsignedZero = AfterValidator(lambda value: value + 0.0)


class LayerFeedback(Spec):
    """What replaces W in the step that computes the error of a layer's input (eq. 2)."""

    model_config = ConfigDict(use_attribute_docstrings=True)  # the schema shows them to editors

    scheme: Annotated[str, know(SCHEMES), Field(json_schema_extra=list_names(SCHEMES))] = "bp"
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


def shorten_feedback(feedback: LayerFeedback) -> Any:
    """Return a feedback as recipes write it: a scheme, with what differs from its defaults; or a list of these."""
    layers = getattr(feedback, "layers", ())
    if layers:
        return [shorten_feedback(layer) for layer in layers]
    changed = feedback.model_dump(mode="json", exclude_defaults=True, exclude={"scheme", "numbers", "layers"})
    changed |= dict(feedback.numbers)
    scheme = short_name(feedback.scheme)
    return {"scheme": scheme, **changed} if changed else scheme
