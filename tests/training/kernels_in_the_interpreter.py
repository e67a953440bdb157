"""Triton kernels as its interpreter runs them on the CPU; the modules themselves stay as a GPU needs them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest

_PACKAGE = "asymbp_cli.training.kernels"


def _widen(operand: Any) -> Any:
    """Return an operand as numbers that numpy multiplies: those of bf16 are whole numbers to the interpreter."""
    if str(operand.dtype.scalar) != "bf16":
        return operand
    return replace(
        operand,
        data=(operand.data.astype(np.uint32) << 16).view(np.float32),
        dtype=import_module("triton.language").float32,
    )


def _as_mask(operand: Any) -> Any:
    """Return a mask as memory takes it: Triton 3.9 interprets one that is joined with a scalar as numbers."""
    return replace(operand, data=operand.data.astype(bool))


@contextmanager
def interpret(*names: str) -> Iterator[dict[str, ModuleType]]:
    """Load files of `training/kernels/`, and what they import of it, with kernels that Triton interprets."""
    package = import_module(_PACKAGE)
    builder = import_module("triton.runtime.interpreter").InterpreterBuilder
    multiply, load, store = builder.create_dot, builder.create_masked_load, builder.create_masked_store

    def multiply_bf16_too(self: Any, a: Any, b: Any, *others: Any) -> Any:
        return multiply(self, *(_widen(operand) for operand in (a, b)), *others)

    def load_masked(self: Any, at: Any, mask: Any, *others: Any, **more: Any) -> Any:
        return load(self, at, _as_mask(mask), *others, **more)

    def store_masked(self: Any, at: Any, value: Any, mask: Any, *others: Any) -> Any:
        return store(self, at, value, _as_mask(mask), *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        patch.setattr(builder, "create_dot", multiply_bf16_too)
        patch.setattr(builder, "create_masked_load", load_masked)
        patch.setattr(builder, "create_masked_store", store_masked)
        for loaded in [other for other in sys.modules if other.startswith(f"{_PACKAGE}.")]:
            patch.delitem(sys.modules, loaded)
        before = {*sys.modules}
        yield {name: import_module(f"{_PACKAGE}.{name}") for name in names}
        for own in [other for other in sys.modules.keys() - before if other.startswith(f"{_PACKAGE}.")]:
            del sys.modules[own]
            patch.delattr(package, own.rpartition(".")[2], raising=False)
