"""Every random draw of a training, keyed by (seed, role, layer or epoch): never by slot, rate or method.

So runs of a stack share their batches, initial weights, magnitudes M and sign flips (common random numbers),
and no result depends on how runs were packed. No global seed is read or changed.
"""

import torch
from torch import Tensor

from asymbp_cli.text import digest_words


def generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator whose stream is fixed by `key`."""
    return torch.Generator(device).manual_seed(_seed(*key))


def _seed(*key: int | str) -> int:
    return int.from_bytes(digest_words(*key)[:7], "little")


def batch_order(seed: int, epoch: int, count: int, order: str = "reshuffle") -> Tensor:
    """Return the order (int64 [count]) in which `epoch` (from 1) visits the samples, by `Protocol.order`."""
    if order == "file":
        return torch.arange(count)
    return torch.randperm(count, generator=generator(seed, "order", epoch if order == "reshuffle" else 1))


class Stream:
    """A stream of vectors of one size, e.g. the magnitudes M of every mini-batch of an epoch.

    Each is drawn into `values`, on its device, and overwrites the one before.
    """

    def __init__(self, seed: int, role: str, values: Tensor) -> None:
        self._key, self.values = (seed, role), values
        self.generator = generator(
            *self._key, 0, device=values.device
        )  # always this one, which a CUDA graph knows

    def begin(self, epoch: int) -> None:
        """Start the stream of `epoch`; 0 holds the draws that are made once per experiment."""
        self.generator.manual_seed(_seed(*self._key, epoch))

    def next(self) -> Tensor:
        """Return the next vector."""
        raise NotImplementedError


class Uniform(Stream):
    """A stream of uniform [0, 1) vectors."""

    def next(self) -> Tensor:
        """Return the next vector."""
        return self.values.uniform_(generator=self.generator)


class Normal(Stream):
    """A stream of N(0, 1) vectors."""

    def next(self) -> Tensor:
        """Return the next vector."""
        return self.values.normal_(generator=self.generator)
