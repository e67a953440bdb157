"""How near V is to W, layer by layer."""

from collections.abc import Iterator
from math import acos, degrees
from typing import NamedTuple

import torch
from torch import nn

from asymbp_cli.errors import UsageError
from asymbp_cli.modules.layers import Asymmetric


class Angle(NamedTuple):
    """V against W: their angle in degrees, the share of V's weights with W's sign, and |V| / |W|.

    A V that is 0 has no sign, and does not count in the share.
    """

    degrees: float
    sign_agreement: float
    norm_ratio: float


def asymmetric_layers(module: nn.Module) -> Iterator[tuple[str, Asymmetric]]:
    """Yield the asymmetric layers of a module with their names; raises UsageError if it has none."""
    found = [(name, part) for name, part in module.named_modules() if isinstance(part, Asymmetric)]
    if not found:
        raise UsageError("The module has no asymmetric layer. Convert it first: asymbp.convert(module, method)")
    yield from found


@torch.no_grad()
def angles(module: nn.Module) -> dict[str, Angle]:
    """Return the angle between V and W of every layer whose V is not W by definition, by name.

    V is the one that the last forward pass had, with the present W. It is not a number if V or W is 0. Raises
    UsageError if no layer has one: the V of direct routes has not the shape of W.
    """
    found = {name: _compare(layer) for name, layer in asymmetric_layers(module) if layer.rule.follows}
    if not found:
        raise UsageError(
            "No layer has a V like its W: with direct feedback it has another shape, and exact feedback is W"
        )
    return found


def _compare(layer: Asymmetric) -> Angle:
    V, W = (part.detach().double().flatten() for part in (layer.rule.value(layer), layer.weight))
    size_v, size_w = float(V.norm()), float(W.norm())
    if not size_v or not size_w:
        return Angle(float("nan"), float("nan"), size_v / size_w if size_w else float("nan"))
    cosine = float(V @ W) / (size_v * size_w)
    there = V != 0
    agreeing = V.signbit() == W.signbit()
    share = float((agreeing & there).sum() / there.sum())
    return Angle(degrees(acos(max(-1.0, min(1.0, cosine)))), share, size_v / size_w)
