"""Schemes by one function that sees one layer at a time, and by a builder as the package's own have."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from asymbp_cli.errors import PluginError
from asymbp_cli.plugins.calls import call, check_finite, check_result, locate
from asymbp_cli.plugins.draws import Draw
from asymbp_cli.plugins.registry import check_signature, refuse, register
from asymbp_cli.specs.feedback import LayerFeedback
from asymbp_cli.specs.schemes import NUMBER_NAME, SCHEMES, Number, Scheme
from asymbp_cli.training.feedback.forms import Computed, Fixed, Form, Learned, SignConcordant
from asymbp_cli.training.feedback.schemes import BUILDERS, Builder, split_rows
from asymbp_cli.training.feedback.site import Site
from asymbp_cli.training.model import Parameter

Function = TypeVar("Function", bound=Callable[..., Tensor])
Numbers = Mapping[str, Number]
_NONE: Numbers = {}
_VECTORS = 2  # of V's size that a stack keeps for a scheme's draws, for planning memory


def scheme(
    name: str, *, formula: str, redrawn: str = "-", source: str = "a plugin", numbers: Numbers = _NONE
) -> Callable[[Function], Function]:
    """Register V = `function(W, draw, **numbers)`, computed after every update, layer by layer.

    W and V are float32 [R', O, C / groups, kh, kw] of a convolution and [R', O, I] of an FC layer. On a GPU there
    are R' replicas at once, elsewhere one. Tables print `name`; recipes may write it in lower case. `numbers` are
    its parameters. A CUDA graph records the function, so that it must read no value (`.item()`, `if W.max() > 1`).
    """

    def decorate(function: Function) -> Function:
        row = Scheme(name, formula, redrawn, source, ("last",), per_stack=_VECTORS, numbers=numbers)
        return _register(row, function, _compute)

    return decorate


def fixed_scheme(
    name: str, *, formula: str, source: str = "a plugin", numbers: Numbers = _NONE
) -> Callable[[Function], Function]:
    """Register V = `function(W, draw, **numbers)`, computed once from the initial W, shaped as in `scheme`."""

    def decorate(function: Function) -> Function:
        row = Scheme(name, formula, "never", source, ("last",), per_replica=0, per_stack=1, numbers=numbers)
        return _register(row, function, _fix)

    return decorate


def learned_scheme(
    name: str, *, formula: str, redrawn: str = "-", source: str = "a plugin", numbers: Numbers = _NONE
) -> Callable[[Function], Function]:
    """Register a V that is drawn as W is and then learns by W's update rule, in which V's gradient is
    `function(gradient, draw, **numbers)` of W's; both are float32 [R', O, ...] as in `scheme`.
    """

    def decorate(function: Function) -> Function:
        row = Scheme(
            name, formula, redrawn, source, learned="gradient", per_replica=0, per_stack=_VECTORS, numbers=numbers
        )
        return _register(row, function, _learn)

    return decorate


def register_scheme(row: Scheme, builder: Builder) -> None:
    """Register a scheme by its row and a builder, `builder(feedback, site)`, which returns the form of V.

    Its rows [R', F] hold all layers but the first: `site.model.fed` says which columns are which.
    """
    check_signature(builder, ("feedback", "site"), {})
    register("scheme", row.name, builder, lambda key: [(SCHEMES, row), (BUILDERS, partial(_build, builder))])
    if row.learned not in ("", "gradient"):
        raise refuse(f'V cannot have learned={row.learned!r}. Write learned="gradient", or leave it out')
    _check_numbers(row)


def _build(builder: Builder, feedback: LayerFeedback, site: Site) -> Form:
    form = call(builder, (), feedback, site)
    if isinstance(form, Learned) != (feedback.kind.learned == "gradient"):  # the row decides where V is kept
        kind, hint = type(form).__name__, "Write" if isinstance(form, Learned) else "Return Learned, or leave out"
        raise PluginError(f'{locate(builder)} returns {kind}. {hint} learned="gradient" in the row of its Scheme')
    row = torch.empty(site.model.feedback_size, device="meta")
    match form:
        case Computed(write):
            return Computed(partial(call, write, ()))
        case Fixed(values):
            return Fixed(site.send(check_result(builder, values, row, "V")))
        case Learned(start, learn):
            return Learned(check_result(builder, start, row, "the first V"), learn and partial(call, learn, ()))
        case SignConcordant(factor, flips):
            if factor and not flips and bool((factor.values < 0).any()):
                raise PluginError(
                    f"{locate(builder)} returns SignConcordant with negative factors. Add flips=True"
                )
            return form
    raise PluginError(f"{locate(builder)} returns {type(form).__name__}, no form of V that a plugin may have")


def _register(
    row: Scheme, function: Function, build: Callable[[Callable[..., Tensor], LayerFeedback, Site], Form]
) -> Function:
    check_signature(function, ("W", "draw"), row.numbers)
    register("scheme", row.name, function, lambda key: [(SCHEMES, row), (BUILDERS, partial(build, function))])
    _check_numbers(row)
    return function


def _check_numbers(row: Scheme) -> None:
    for name, number in row.numbers.items():
        if name in LayerFeedback.model_fields:
            raise refuse(f'"{name}" is a parameter of asymbp. Choose another name')
        if not re.fullmatch(NUMBER_NAME, name):
            raise refuse(f"{name!r} is no name of a parameter. Use letters, digits and _")
        try:
            number.check(number.default)
        except ValueError as error:
            raise refuse(f"the default of {name} {error}") from None


@dataclass(frozen=True)
class _Layer:
    """A function on one layer; `what` ends messages."""

    function: Callable[..., Tensor]
    part: Parameter
    draw: Draw
    numbers: Mapping[str, float]
    what: str

    def __call__(self, given: Tensor) -> Tensor:
        """Return the function's result for [R', O, ...] of this layer."""
        self.draw.begin_call()
        given = given.float()
        return check_result(
            self.function, call(self.function, (given,), self.draw, **self.numbers), given, self.what
        )

    def try_out(self, rows: Tensor) -> Tensor:
        """Return the result for rows [1, F], whose values are looked at; its draws are known from then on."""
        result = check_finite(self.function, self(self.part.view(rows)), self.what)
        self.draw.end_trial()
        return result


def _layers(
    function: Callable[..., Tensor], feedback: LayerFeedback, site: Site, what: str, *, fixed: bool = False
) -> list[_Layer]:
    numbers = feedback.all_numbers
    return [
        _Layer(function, part, Draw(site, part, fixed=fixed), numbers, f"{what} of layer {part.layer}")
        for part in site.model.fed
    ]


@torch.no_grad()
def _compute(function: Callable[..., Tensor], feedback: LayerFeedback, site: Site) -> Form:
    layers = _layers(function, feedback, site, "V")
    for layer in layers:
        layer.try_out(site.initial()[None].to(site.device))
    return Computed(partial(_write, layers))


def _write(layers: list[_Layer], given: Tensor, result: Tensor) -> None:
    """Write what the function makes of rows [R', F], layer by layer, into those of the result."""
    for source, target in split_rows(given, result):
        for layer in layers:
            layer.part.view(target).copy_(layer(layer.part.view(source)))


@torch.no_grad()
def _fix(function: Callable[..., Tensor], feedback: LayerFeedback, site: Site) -> Form:
    values = torch.zeros(1, site.model.feedback_size)
    initial = site.initial()[None]
    for layer in _layers(function, feedback, site, "V", fixed=True):
        layer.part.view(values).copy_(layer.try_out(initial))
    return Fixed(site.send(values[0]))


@torch.no_grad()
def _learn(function: Callable[..., Tensor], feedback: LayerFeedback, site: Site) -> Form:
    layers = _layers(function, feedback, site, "the gradient of V")
    for layer in layers:
        layer.try_out(site.initial()[None].to(site.device))  # in place of a gradient
    return Learned(site.model.random_feedback(site.seed), learn=partial(_write, layers))
