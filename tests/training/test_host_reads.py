"""No value is read on the host inside an epoch: on a GPU each such read would wait for all work before it.

Counted on the CPU, where the backward pass runs in the calling thread and so under the same modes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
import torch
from layer_cases import BEYOND
from torch import Tensor
from torch.autograd import Function
from torch.utils._python_dispatch import TorchDispatchMode

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.engine import Trainer

_METHODS = (  # patched: a TorchFunctionMode would not see those in the backward pass
    *("item", "tolist", "numpy", "cpu", "__array__", "__format__", "__repr__", "__contains__"),
    *("__bool__", "__int__", "__float__", "__complex__", "__index__"),
)
_OPERATORS = {  # those whose answer, or the size of it, is a value
    *("_local_scalar_dense", "is_nonzero", "item", "equal", "nonzero", "nonzero_static", "masked_select"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive", "bincount", "argwhere"),
}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}


class _Operators(TorchDispatchMode):
    def __init__(self, reads: list[str], seen: set[str]) -> None:
        super().__init__()
        self.reads, self.seen = reads, seen

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        self.seen.add(name)
        if name in _OPERATORS or (name in _INDEXING and _has_mask(args[1])):
            self.reads.append(f"aten::{name}")
        return function(*args, **(kwargs or {}))


def _has_mask(indices: list[Tensor | None]) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _counting(name: str, reads: list[str]) -> Callable[..., Any]:
    original = getattr(Tensor, name)

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        reads.append(f"Tensor.{name}")
        return original(self, *args, **kwargs)

    return method


@contextmanager
def counted() -> Iterator[tuple[list[str], set[str]]]:
    """Yield the reads that happen inside, and the names of all operators that run there."""
    reads: list[str] = []
    seen: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        for name in _METHODS:
            patch.setattr(Tensor, name, _counting(name, reads))
        with _Operators(reads, seen):
            yield reads, seen


@pytest.mark.parametrize(
    "methods",
    [("SGD", "brSF-25%", "frSF", "RndF", "BM3"), ("uSF+BN", "brSF+BN+BM"), ("BN",), *BEYOND],
    ids="/".join,
)
@pytest.mark.parametrize("zero_sign", [0, 1])
def test_no_value_is_read_inside_an_epoch(
    methods: tuple[str, ...], zero_sign: Literal[0, 1], digits: ResidentData
) -> None:
    runs = tuple(
        Run(
            dataset=digits.info.fingerprint,
            network=NETWORKS["digits"].resolve(10),
            method=parse_method(name),
            protocol=Protocol(zero_sign=zero_sign),
            rate_multiplier=1.0,
            seed=0,
        )
        for name in methods
    )
    trainer = Trainer(Stack(runs), digits, torch.device("cpu"))
    trainer.bank.may_read = False  # as of a GPU
    trainer.begin_epoch(1, range(len(runs)))
    batches, before = trainer.batches(1), trainer.bank.weights.detach().clone()
    with counted() as (reads, seen):
        for index in batches:
            trainer.step(index)
    assert {"convolution", "convolution_backward", "max_pool2d_with_indices_backward", "where"} <= seen
    assert len(batches) > 10
    assert bool(trainer.bank.alive.all())
    assert not (trainer.bank.weights == before).all(dim=1).any()
    assert not reads


class _ReadsBackward(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> Tensor:
        return error * error.tolist()[0]


def _backward(x: Tensor) -> None:
    x = x.clone().requires_grad_()
    torch.autograd.grad(_ReadsBackward.apply(x).sum(), x)


def _branch(x: Tensor) -> None:
    if x[0] > 0:
        x.add_(1)


def _write_where_masked(x: Tensor) -> None:
    x[x > 1] = torch.zeros(2)


READS: dict[str, tuple[Callable[[Tensor], object], str]] = {
    "item": (lambda x: x[0].item(), "aten::_local_scalar_dense"),
    "tolist": (lambda x: x.tolist(), "Tensor.tolist"),
    "numpy": (lambda x: x.numpy(), "Tensor.numpy"),
    "cpu": (lambda x: x.cpu(), "Tensor.cpu"),
    "float": (lambda x: float(x[0]), "Tensor.__float__"),
    "int": (lambda x: int(x[0]), "Tensor.__int__"),
    "index": (lambda x: range(x.argmax()), "Tensor.__index__"),  # type: ignore[call-overload]
    "bool": (lambda x: bool(x[0]), "Tensor.__bool__"),
    "branch": (_branch, "Tensor.__bool__"),
    "f-string": (lambda x: f"{x[0]:.1f}", "Tensor.__format__"),
    "is_nonzero": (lambda x: torch.is_nonzero(x[0]), "aten::_local_scalar_dense"),
    "equal": (lambda x: torch.equal(x, x), "aten::equal"),
    "in": (lambda x: 3.0 in x, "Tensor.__contains__"),
    "nonzero": (lambda x: x.nonzero(), "aten::nonzero"),
    "where": (lambda x: torch.where(x > 1), "aten::nonzero"),
    "mask": (lambda x: x[x > 1], "aten::index"),
    "write where masked": (_write_where_masked, "aten::index_put_"),
    "masked_select": (lambda x: x.masked_select(x > 1), "aten::masked_select"),
    "unique": (lambda x: x.unique(), "aten::_unique2"),
    "a size": (lambda x: torch.zeros(int(x.argmax())), "aten::_local_scalar_dense"),
    "argument": (lambda x: torch.full((2,), x[0]), "aten::_local_scalar_dense"),  # type: ignore[call-overload]
    "backward of a Function": (_backward, "Tensor.tolist"),
}


@pytest.mark.parametrize("kind", READS)
def test_a_read_is_noticed(kind: str) -> None:
    read, name = READS[kind]
    with counted() as (reads, _):
        read(torch.arange(4.0))
    assert name in reads
    assert "_counting" not in str(Tensor.item)  # all is as before


def test_what_is_no_read_is_not_counted() -> None:
    x, index = torch.arange(4.0), torch.tensor([0, 2])
    with counted() as (reads, seen):
        x[index] = x[index] * torch.where(x > 1, x, 0.0)[index] + len(x)
        (x > 1).sum().add_(x.argmax())
    assert not reads
    assert {"index", "index_put_", "where", "argmax"} <= seen
