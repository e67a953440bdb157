"""Update rules and initializations of plugins."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from asymbp_cli.errors import PluginError
from asymbp_cli.plugins.calls import call, check_finite, check_result, locate
from asymbp_cli.plugins.registry import check_signature, refuse, register
from asymbp_cli.specs.methods import UPDATES, UpdateRule
from asymbp_cli.specs.protocol import INITIALIZATIONS
from asymbp_cli.training.feedback.schemes import split_rows
from asymbp_cli.training.initialization import OWN
from asymbp_cli.training.optim import RULES

Step = TypeVar("Step", bound=Callable[..., tuple[Tensor, Tensor]])
Draws = TypeVar("Draws", bound=Callable[..., Tensor])
_MOST_STATES = 8
_OF_RULES = ("w", "g", "state", "rate", "momentum", "decay")


def update_rule(
    name: str, *, formula: str = "of a plugin", source: str = "a plugin", states: int = 1
) -> Callable[[Step], Step]:
    """Register (w(t+1), state(t+1)) = `function(w, g, state, rate, momentum, decay)`, elementwise.

    All are float32: w, the gradient g of the mini-batch and the state, which starts at 0, are [R', P], P being any
    part of the parameters; `rate` is [R', 1]; `decay` is one number, 0 for what the protocol does not decay.
    Several `states` are [R', states, P]. Checkpoints keep them. A method is called `uSF+NAME`. A CUDA graph
    records the function, so that it must read no value.
    """

    def decorate(function: Step) -> Step:
        check_signature(function, _OF_RULES, {})
        if not isinstance(states, int) or not 1 <= states <= _MOST_STATES:
            raise refuse(f"an update rule keeps 1 to {_MOST_STATES} states of each weight, not {states!r}")
        row = UpdateRule(name, formula, source, states)
        register("update", name, function, lambda key: [(UPDATES, row), (RULES, partial(_update, function))])
        return function

    return decorate


def _update(
    function: Callable[..., tuple[Tensor, Tensor]],
    w: Tensor,
    g: Tensor,
    state: Tensor,
    rate: Tensor,
    momentum: float,
    decay: Tensor,
) -> None:
    for *rows, row_rate in split_rows(w, g, state if state.shape[1] > 1 else state[:, 0], rate):
        result = call(function, rows, row_rate, momentum, decay)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise PluginError(f"{locate(function)} must return two tensors: the next w, and the next state")
        weights = check_result(function, result[0], rows[0], "the next w")
        new_state = check_result(function, result[1], rows[2], "the next state")
        weights, new_state = (_copy_if_in(rows[1:], tensor) for tensor in (weights, new_state))
        rows[1].copy_(weights)
        rows[2].copy_(new_state)


def _copy_if_in(overwritten: Iterable[Tensor], result: Tensor) -> Tensor:
    """Return a result, or a copy if it is a view of what is overwritten next: a rule may return its inputs."""
    own = result.untyped_storage().data_ptr()
    return result.clone() if own in {tensor.untyped_storage().data_ptr() for tensor in overwritten} else result


def initialization(name: str, *, formula: str = "of a plugin") -> Callable[[Draws], Draws]:
    """Register initial weights: `function(shape, fan_in, fan_out, generator)`, on the CPU, layer by layer.

    The shape is (O, C / groups, kh, kw) of a convolution, (O, I) of an FC layer, and (O,) of biases that are drawn
    as the weights are. All random numbers come from the generator, which is keyed by seed and layer.
    """

    def decorate(function: Draws) -> Draws:
        check_signature(function, ("shape", "fan_in", "fan_out", "generator"), {})
        draw = partial(_initialize, function)
        register(
            "initialization",
            name,
            function,
            lambda key: [(INITIALIZATIONS, formula), (OWN, draw)],
        )
        return function

    return decorate


def _initialize(
    function: Callable[..., Tensor], weights: Tensor, fan_in: int, fan_out: int, generator: torch.Generator
) -> None:
    """Fill weights (O, kh, kw, C / groups) or (O, I)."""
    target = weights.permute(0, 3, 1, 2) if weights.ndim == 4 else weights
    result = call(function, (), tuple(target.shape), fan_in, fan_out, generator)
    what = "the initial weights"
    target.copy_(check_finite(function, check_result(function, result, target, what), what))
