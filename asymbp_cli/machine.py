"""Facts about this computer that plans are made of. No torch."""

from typing import NamedTuple


class DeviceFacts(NamedTuple):
    """A GPU's model, its free bytes, and the bytes that cuBLAS keeps per stream and thread; None if unknown."""

    model: str | None
    free_bytes: int | None
    workspace_bytes: int
