"""Triton kernels as they are launched, compiled for a GPU that need not be here."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from asymbp_cli.training.kernels import pooling, products, update

_TYPES = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.uint8: "*u8",
    torch.int8: "*i8",
    torch.int32: "*i32",
    torch.int64: "*i64",
}
_ALIGNED = [["tt.divisibility", 16]]
_KERNELS = {
    products: ("multiply_tile", "pass_back_tile", "correlate_tile"),
    pooling: ("pool_block", "spread_block"),
    update: ("_advance", "_restore"),
}


class Launch(NamedTuple):
    """A kernel and what it was called with."""

    kernel: Any
    values: dict[str, Any]


class Recorder:
    """Stands for a kernel, and notes how it is launched."""

    def __init__(self, kernel: Any, launches: list[Launch]) -> None:
        self._kernel, self._launches = kernel, launches

    def __getitem__(self, grid: object) -> Callable[..., None]:
        return lambda *values, **others: self._launches.append(
            Launch(self._kernel, dict(zip(self._kernel.arg_names, values, strict=False)) | others)
        )


@contextmanager
def note_launches() -> Iterator[list[Launch]]:
    """Let kernels do nothing; yield a list that gets their launches."""
    found: list[Launch] = []
    stands = {
        module: {name: Recorder(getattr(module, name), found) for name in names}
        for module, names in _KERNELS.items()
    }
    with ExitStack() as stack:
        for module, values in stands.items():
            stack.enter_context(patch.multiple(module, **values))
        yield found


def compile_launch(launch: Launch, capability: int) -> Any:
    """Return the code for a GPU: as in a launch, a number that is 1 is a constant."""
    kernel, values = launch
    signature: dict[str, str] = {}
    constants: dict[tuple[int, ...], Any] = {}
    attributes: dict[tuple[int, ...], Any] = {}
    for place, parameter in enumerate(kernel.params):
        value = values[parameter.name]
        if parameter.is_constexpr or value is None or (isinstance(value, int) and value == 1):
            signature[parameter.name], constants[place,] = "constexpr", value
        elif isinstance(value, Tensor):
            signature[parameter.name], attributes[place,] = _TYPES[value.dtype], _ALIGNED
        elif isinstance(value, float):
            signature[parameter.name] = "fp32"
        else:
            signature[parameter.name] = "i32"
            if value % 16 == 0:
                attributes[place,] = _ALIGNED
    options = {name: values[name] for name in ("num_warps", "num_stages") if name in values}
    options["enable_fp_fusion"] = values["enable_fp_fusion"]  # all say so: its default differs by version
    source = ASTSource(kernel, signature, constants, attributes)
    return compile(source, target=GPUTarget("cuda", capability, 32), options=options)
