"""Random crops and flips of training images: the same for all replicas of a stack."""

import torch
import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.training.draws import Uniform


class Augmentation:
    """Crops and flips the images of mini-batches, each by itself, as the protocol says.

    There are `samples` in all. What an epoch draws is fixed by the seed and the number of the epoch.
    """

    def __init__(self, protocol: Protocol, seed: int, samples: int, device: torch.device) -> None:
        self._padding, self._flips = protocol.crop_padding, protocol.horizontal_flip
        self._changes = protocol.augments
        most = min(max(protocol.batch_sizes), samples) if self._changes else 0
        drawn = torch.empty(most, 3, device=device)  # down, to the right, flipped
        self._stream = Uniform(seed, "augmentation", drawn)

    @property
    def generators(self) -> list[torch.Generator]:
        """Return the generators that a step draws from."""
        return [self._stream.generator] if self._changes else []

    def begin_epoch(self, epoch: int) -> None:
        """Start the draws of `epoch` (from 1)."""
        self._stream.begin(epoch)

    def __call__(self, images: Tensor) -> Tensor:
        """Return images [B, H, W, C], cropped at random from a border of zeros, and half of them flipped.

        Whatever the protocol does not augment stays as it is.
        """
        if not self._changes:
            return images
        samples, height, width, _ = images.shape
        device, drawn = images.device, self._stream.next()[: len(images)]
        border, places = self._padding, 2 * self._padding + 1
        down, right = (drawn[:, :2] * places).long().clamp_(max=places - 1).unbind(1)
        rows, columns = (torch.arange(size, device=device)[None] for size in (height, width))
        if self._flips:
            columns = torch.where(drawn[:, 2:] < 0.5, columns.flip(1), columns)
        padded = F.pad(images, (0, 0, border, border, border, border))
        sample = torch.arange(samples, device=device)[:, None, None]
        return padded[sample, (rows + down[:, None])[:, :, None], (columns + right[:, None])[:, None, :]]
