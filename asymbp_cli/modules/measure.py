"""How near V is to W, layer by layer."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import nn

from asymbp_cli.errors import UsageError
from asymbp_cli.modules.layers import Asymmetric
from asymbp_cli.training.measures.weights import compare_weights


class Likeness(NamedTuple):
    """V next to W: their angle in degrees, the share of agreeing signs (if neither is 0), and |V| / |W|."""

    angle: float
    agreement: float
    norm_ratio: float


def asymmetric_layers(module: nn.Module) -> Iterator[tuple[str, Asymmetric]]:
    """Yield the asymmetric layers of a module with their names; raises UsageError if it has none."""
    found = [(name, part) for name, part in module.named_modules() if isinstance(part, Asymmetric)]
    if not found:
        raise UsageError("The module has no asymmetric layer. Convert it first: asymbp.convert(module, method)")
    yield from found


@torch.no_grad()
def angles(module: nn.Module) -> dict[str, Likeness]:
    """Compare V with W in every layer whose V is not W by definition, by name.

    V has the random draws of the last forward pass, and the present W. What has no meaning, as an angle to 0, is
    not a number. Raises UsageError if no layer has such a V: that of direct routes has not the shape of W.
    """
    found = {name: _compare(layer) for name, layer in asymmetric_layers(module) if layer.rule.follows}
    if not found:
        raise UsageError(
            "No layer has a V like its W: with direct feedback it has another shape, and exact feedback is W"
        )
    return found


def _compare(layer: Asymmetric) -> Likeness:
    found = compare_weights(layer.weight.detach()[None], layer.rule.value(layer).detach()[None])
    return Likeness(*(found[name].item() for name in ("angle", "agreement", "norm-ratio")))
