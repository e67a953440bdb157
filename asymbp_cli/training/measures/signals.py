"""Measures of what passes through a network on a fixed mini-batch: activations, errors and gradients."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from asymbp_cli.training.bank import Bank
from asymbp_cli.training.blocks import Block
from asymbp_cli.training.measures.weights import to_degrees
from asymbp_cli.training.step import TrainingStep, sum_type

_VOID = 1e-7  # norm of a gradient below which it has no direction
WHOLE = 0  # stands for the network where a layer is named

#: (layer, values of R' replicas)
Found = Iterator[tuple[int, Tensor]]


def measure_gradient_angles(step: TrainingStep, bank: Bank, block: Block, index: Tensor) -> Found:
    """Yield the angle between the gradients of W through V and through W, in degrees.

    Of each layer that is trained, and of all of them (biases and normalization apart). Not a number if the
    gradient of backpropagation is below 1e-7.
    """
    parts = [part for part in bank.trained if part.kind == "weight"]
    gradients = []
    for exact in (False, True):
        step.probe(block, index, exact=exact)
        gradients.append([part.columns(bank.gradients)[block.rows].to(sum_type(index.device)) for part in parts])
    sums = torch.stack(
        [
            torch.stack([(ours * exact).sum(1), ours.square().sum(1), exact.square().sum(1)])
            for ours, exact in zip(*gradients, strict=True)
        ]
    )
    yield WHOLE, _to_angle(sums.sum(0))
    for part, of_layer in zip(parts, sums, strict=True):
        yield part.layer, _to_angle(of_layer)


def _to_angle(sums: Tensor) -> Tensor:
    angle = to_degrees(*sums)
    return angle.masked_fill(sums[2].sqrt() < _VOID, torch.nan)


def measure_ranks(step: TrainingStep, bank: Bank, block: Block, index: Tensor) -> Found:
    """Yield the effective rank of the error at each layer's output: exp of the entropy of its singular values.

    The error of a mini-batch is a matrix [samples, features * positions]; its singular values are divided by their
    sum. Not a number if the error is 0.
    """
    errors: dict[int, Tensor] = {}
    layers: list[int] = []

    def watch(layer: int, z: Tensor) -> None:
        layers.append(layer)
        if z.requires_grad:
            z.register_hook(_keep(errors, layer))  # type: ignore[no-untyped-call]

    error_of_logits = step.probe(block, index, watch=watch)
    errors.setdefault(layers[-1], error_of_logits)  # which no gradient needs if that layer is fed and not trained
    for layer, error in sorted(errors.items()):
        yield layer, torch.stack([_effective_rank(own) for own in _by_replica(error, block)])


def _keep(errors: dict[int, Tensor], layer: int) -> Callable[[Tensor], None]:
    def keep(error: Tensor) -> None:
        errors[layer] = error

    return keep


def _by_replica(x: Tensor, block: Block) -> Sequence[Tensor]:
    """Return signals [B, R' * C, ...] as one matrix [B, C * ...] for each replica."""
    return [part.flatten(1) for part in x.chunk(block.size, 1)]


def _effective_rank(matrix: Tensor) -> Tensor:
    """Return the effective rank of [B, N], from the eigenvalues of the products of its rows."""
    matrix = matrix.to(sum_type(matrix.device))
    products = (matrix @ matrix.T).cpu().double()
    if not products.isfinite().all():
        return torch.tensor(torch.nan, device=matrix.device)
    values = torch.linalg.eigvalsh(products).clamp(min=0).sqrt()
    entropy: Tensor = torch.special.entr(values / values.sum()).sum()
    return entropy.exp().to(matrix)


def measure_growth(step: TrainingStep, bank: Bank, block: Block, index: Tensor) -> Found:
    """Yield the norm of each layer's output over that of the layer before, and the largest of these.

    An output is taken before normalization and activation.
    """
    norms: dict[int, Tensor] = {}

    def watch(layer: int, z: Tensor) -> None:
        norms[layer] = torch.stack([own.norm() for own in _by_replica(z.detach().float(), block)])

    step.probe(block, index, watch=watch)
    layers = sorted(norms)
    ratios = {later: norms[later] / norms[earlier] for earlier, later in pairwise(layers)}
    if ratios:
        yield WHOLE, torch.stack(list(ratios.values())).amax(0)
    yield from ratios.items()
