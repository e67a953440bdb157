"""The random draws of a layer, keyed by seed, role, and the layer's number: no global seed is read or changed.

A draw that is made anew for every mini-batch has a count in its key. This makes it the same after resuming, and
in every process of a distributed training.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from asymbp_cli.training.draws import generator


@dataclass(frozen=True)
class Source:
    """The draws of layer `number` (from 1, in order of registration), on the CPU."""

    seed: int
    number: int

    def generator(self, role: str) -> torch.Generator:
        """Return the generator of a role."""
        return generator(self.seed, role, self.number)

    def uniform(self, role: str, shape: torch.Size) -> Tensor:
        """Return numbers uniform in [0, 1)."""
        return torch.empty(shape).uniform_(generator=self.generator(role))

    def normal(self, role: str, shape: tuple[int, ...], sigma: float) -> Tensor:
        """Return N(0, sigma^2) numbers."""
        return torch.empty(shape).normal_(0, sigma, generator=self.generator(role))

    def shuffle(self, role: str, values: Tensor) -> Tensor:
        """Return the values in random order: drawn as they were, whatever their distribution."""
        order = torch.randperm(values.numel(), generator=self.generator(role))
        return values.flatten()[order].view(values.shape)

    def begin(self) -> Tensor:
        """Return the counter of `redraw`: seed, number and count, int64 [3]."""
        return torch.tensor([self.seed, self.number, 0])


def redraw(counter: Tensor, like: Tensor, role: str) -> Tensor:
    """Return the numbers of a role at the present count, in the shape and type of `like` and on its device.

    They are N(0, 1) if the role is `noise`, otherwise uniform in [0, 1). `counter` comes from `Source.begin`.
    """
    return _redraw_compiled(counter, like, role) if torch.compiler.is_compiling() else _redraw(counter, like, role)


def _redraw(counter: Tensor, like: Tensor, role: str) -> Tensor:
    seed, number, count = counter.tolist()
    source = generator(seed, role, number, count, device=like.device)
    values = torch.empty_like(like)
    return values.normal_(generator=source) if role == "noise" else values.uniform_(generator=source)


#: for torch.compile, which cannot follow a generator
_redraw_compiled = torch.library.custom_op("asymbp::redraw", _redraw, mutates_args=())
_redraw_compiled.register_fake(lambda counter, like, role: torch.empty_like(like))
