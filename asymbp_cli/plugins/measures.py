"""Measures of plugins: made after every epoch, of each layer that has a V."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from torch import Tensor

from asymbp_cli.plugins.calls import call, check_result
from asymbp_cli.plugins.registry import check_signature, register
from asymbp_cli.specs.measures import MEASURES, Measure
from asymbp_cli.training.measures.weights import OWN

Function = TypeVar("Function", bound=Callable[[Tensor, Tensor], Tensor])


def measure(name: str, *, title: str, meaning: str = "of a plugin") -> Callable[[Function], Function]:
    """Register `function(W, V)`, a number of each replica: [R', O, ...] as in `scheme` -> [R'], float32.

    Protocols ask for it (`measure: [NAME]`). It is made after each epoch, of every layer with a V; in plain
    backpropagation that is W. Values may be read on the host. Numbers that are not finite count as none.
    """

    def decorate(function: Function) -> Function:
        check_signature(function, ("W", "V"), {})
        row = Measure(title, meaning, "a plugin", cost="that of the plugin")
        register("measure", name, function, lambda key: [(MEASURES, row), (OWN, partial(_measure, function))])
        return function

    return decorate


def _measure(function: Callable[[Tensor, Tensor], Tensor], W: Tensor, V: Tensor) -> Tensor:
    """Return a function's numbers of W and V, [R']."""
    return check_result(function, call(function, (W, V)), W.flatten(1)[:, 0], "one number of each replica")
