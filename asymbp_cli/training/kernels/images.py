"""Images of a stack [B, R * features, height, width] as kernels take them: stored by pixels."""

import torch
from torch import Tensor


def order_channels_last(x: Tensor) -> Tensor:
    """Return an image stored by pixels; itself if it is."""
    return x.contiguous(memory_format=torch.channels_last)


def make_image(like: Tensor, features: int, size: tuple[int, ...], dtype: torch.dtype | None = None) -> Tensor:
    """Return an empty image for the samples of another one, of its type if none is given."""
    return torch.empty(
        (like.shape[0], features, *size),
        dtype=dtype or like.dtype,
        device=like.device,
        memory_format=torch.channels_last,
    )
