"""What a training loop tells a converted module besides its batches: targets, and noise for the weight mirror."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from asymbp_cli.errors import UsageError
from asymbp_cli.modules.layers import Asymmetric, watching
from asymbp_cli.modules.measure import asymmetric_layers
from asymbp_cli.modules.rules import Mirrored


def set_targets(module: nn.Module, targets: Tensor) -> None:
    """Give DRTP the targets of the next forward pass: class numbers [B], or numbers in the shape of the output.

    Each forward pass of training needs them anew. Raises UsageError if the module is not converted to DRTP.
    """
    senders = {layer.sender for _, layer in asymmetric_layers(module) if layer.sender is not None}
    takers = [sender for sender in senders if sender.route == "direct-target"]
    if not takers:
        raise UsageError('Only DRTP takes targets: asymbp.convert(module, "DRTP", example_input=x)')
    for sender in takers:
        sender.targets = targets


@torch.no_grad()
def mirror(module: nn.Module, *arguments: Any, steps: int = 1) -> None:
    """Let the weight mirror change V that many times, as it does before training (`mirror_passes` in recipes).

    The module is called with `arguments`, as in evaluation, only to learn the shapes of the noise. During training
    each forward pass mirrors once by itself. A compiled module is called without its compilation, which would
    pass over the mirror. Raises UsageError if the module is not converted to WM, or calls none of the layers.
    """
    mirrors = [layer for _, layer in asymmetric_layers(module) if isinstance(layer.rule, Mirrored)]
    if not mirrors:
        raise UsageError('Only the weight mirror mirrors: asymbp.convert(module, "WM")')
    counts = [int(layer.feedback_counter[2]) for layer in mirrors]
    with (
        watching(module, ((layer, partial(_mirror, layer)) for layer in mirrors)),
        torch.compiler.set_stance("force_eager"),
    ):
        for _ in range(steps):
            module(*arguments)
    if steps > 0 and counts == [int(layer.feedback_counter[2]) for layer in mirrors]:
        raise UsageError("The module called none of the layers that mirror with these arguments: no V has changed")


def _mirror(layer: Asymmetric, x: Tensor) -> None:
    assert isinstance(layer.rule, Mirrored)
    layer.rule.mirror(layer, layer.batch(x))
