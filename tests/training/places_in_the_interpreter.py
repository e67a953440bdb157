"""Where interpreted kernels read and write: nowhere but in the tensors of their launch."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from torch import Tensor


def _find_range(tensor: Tensor) -> tuple[int, int]:
    """Return the first address of a tensor, and the one after its last."""
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr(), tensor.data_ptr() + (last + 1) * tensor.element_size()


@contextmanager
def watch_places() -> Iterator[None]:
    """Refuse what is read or written, not masked, outside the tensors of a launch."""
    interpreter = import_module("triton.runtime.interpreter")
    builder, executor = interpreter.InterpreterBuilder, interpreter.GridExecutor
    load, store, launch = builder.create_masked_load, builder.create_masked_store, executor.__call__
    ranges: list[tuple[int, int]] = []

    def check(places: Any, mask: Any) -> None:
        at = places.data[np.broadcast_to(mask.data, places.data.shape).astype(bool)].astype(np.int64)
        size = places.get_element_ty().primitive_bitwidth // 8
        inside = np.zeros(at.shape, bool)
        for first, end in ranges:
            inside |= (at >= first) & (at + size <= end)
        assert inside.all(), f"{np.count_nonzero(~inside)} of {at.size} places are in no tensor"

    def load_inside(self: Any, places: Any, mask: Any, *others: Any) -> Any:
        check(places, mask)
        return load(self, places, mask, *others)

    def store_inside(self: Any, places: Any, values: Any, mask: Any, *others: Any) -> Any:
        check(places, mask)
        return store(self, places, values, mask, *others)

    def launch_watched(self: Any, *values: Any, **others: Any) -> Any:
        ranges[:] = [_find_range(value) for value in values if isinstance(value, Tensor)]
        return launch(self, *values, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "create_masked_load", load_inside)
        patch.setattr(builder, "create_masked_store", store_inside)
        patch.setattr(executor, "__call__", launch_watched)
        yield
