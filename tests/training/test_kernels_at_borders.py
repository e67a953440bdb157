"""Kernels of odd layers and last mini-batches: they stay inside their tensors, and replicas inside themselves."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from kernels_in_the_interpreter import interpret
from layer_cases import GEOMETRIES, POOLS, draw, pool_and_back
from torch import Tensor

from asymbp_cli.specs.layers import Pool
from asymbp_cli.training import pooling, products
from asymbp_cli.training.products import Geometry

pytest.importorskip("triton", reason="not run: Triton is not installed")
from places_in_the_interpreter import watch_places

# of numpy, by which Triton interprets
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
REPLICAS, BAD = 3, 1  # replicas, and which of them has diverged
#: height and width of the image, those of the field, geometry
ODD = {
    "one row": ((1, 13), (1, 3), Geometry()),
    "one column": ((13, 1), (3, 1), Geometry(stride=2)),
    "one row, a border": ((1, 13), (3, 5), Geometry(padding=2)),
    "one pixel": ((1, 1), (3, 3), Geometry(padding=1)),
    "a field larger than the image": ((2, 3), (5, 6), Geometry(padding=2)),
    "a field larger than the image, far taps": ((3, 2), (3, 3), Geometry(stride=2, padding=3, dilation=3)),
    "a stride larger than the field": ((9, 11), (2, 1), Geometry(stride=4)),
    "a stride larger than the image": ((4, 5), (3, 2), Geometry(stride=7, padding=1, groups=2)),
    "a border larger than the field": ((4, 5), (2, 1), Geometry(stride=3, padding=4)),
}
ODD_POOLS = {
    (1, 13): [Pool("max", (1, 3), 2), Pool("max", (1, 1), 5)],
    (13, 1): [Pool("max", (2, 1), 1)],
    (3, 3): [Pool("max", (4, 4), 2, padding_end=1), Pool("max", (3, 3), 7)],
    (1, 1): [Pool("max", (1, 1), 1), Pool("max", (4, 4), 4, padding_end=3)],
    (5, 7): [Pool("max", (2, 1), 4)],
}


@pytest.fixture(scope="module")
def kernels() -> Iterator[dict[str, Any]]:
    """Kernels that stay inside their tensors."""
    with interpret("products", "pooling") as modules, watch_places():
        yield modules


@pytest.fixture
def fill_new_tensors() -> Iterator[None]:
    """Fill new tensors with not-a-number, so that no number is left out by chance."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def _compute(kernels: Any, x: Tensor, W: Tensor, bias: Tensor, error: Tensor, geometry: Geometry) -> list[Tensor]:
    """Return the products of a layer by kernels; the error of its input if that is of single replicas."""
    size = (x.shape[2], x.shape[3])
    found = [kernels.multiply(x, W, bias, geometry), *kernels.correlate(x, error, W, geometry, biased=True)]
    shared = x.shape[1] == W.shape[2] * geometry.groups
    return found if shared else [*found, kernels.pass_back(error, W, size, geometry)]


@pytest.mark.parametrize("layer", ODD)
@pytest.mark.parametrize(("samples", "shared"), [(1, False), (3, False), (1, True)])
@pytest.mark.usefixtures("fill_new_tensors")
def test_odd_layers_are_those_of_plain_operations(
    layer: str, samples: int, shared: bool, kernels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels["products"], "_SPLIT", False)
    size, field, geometry = ODD[layer]
    W, bias = draw(REPLICAS, 6, 4 // geometry.groups, *field), draw(REPLICAS, 6)
    x = draw(samples, 4 if shared else 4 * REPLICAS, *size)
    error = draw(samples, 6 * REPLICAS, *geometry.output(size, field))
    y, weights, biases, *back = _compute(kernels["products"], x, W, bias, error, geometry)
    torch.testing.assert_close(y, products.multiply(x, W, bias, geometry), rtol=1e-4, atol=1e-4)
    for ours, right in zip((weights, biases), products.correlate(x, error, W, geometry, biased=True), strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-4)
    for ours in back:
        torch.testing.assert_close(ours, products.pass_back(error, x, W, geometry), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("dtype", "value"), [(torch.float32, torch.nan), (torch.bfloat16, torch.inf)], ids=str)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.usefixtures("fill_new_tensors")
def test_a_diverged_replica_changes_no_bit_of_another(
    geometry: Geometry, dtype: torch.dtype, value: float, kernels: dict[str, Any]
) -> None:
    W, bias = draw(REPLICAS, 6, 4 // geometry.groups, 3, 2).to(dtype), draw(REPLICAS, 6).to(dtype)
    x = draw(2, 4 * REPLICAS, 7, 6).to(dtype)
    error = draw(2, 6 * REPLICAS, *geometry.output((7, 6), (3, 2))).to(dtype)
    right = _compute(kernels["products"], x, W, bias, error, geometry)
    W[BAD] = bias[BAD] = x.chunk(REPLICAS, 1)[BAD][:] = error.chunk(REPLICAS, 1)[BAD][:] = value
    found = _compute(kernels["products"], x, W, bias, error, geometry)
    for number, (ours, before) in enumerate(zip(found, right, strict=True)):
        by_replica: Callable[[Tensor], Any] = list if number in (1, 2) else lambda y: y.chunk(REPLICAS, 1)
        for replica, (one, other) in enumerate(zip(by_replica(ours), by_replica(before), strict=True)):
            assert torch.equal(one, other) == (replica != BAD)
            assert bool(other.isfinite().all())


def test_a_diverged_replica_changes_no_bit_of_another_in_fc_layers(
    kernels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "find_kernels", lambda name, kind: kernels[name])
    x, W, bias, error = draw(1, 70 * REPLICAS), draw(REPLICAS, 66, 70), draw(REPLICAS, 66), draw(1, 66 * REPLICAS)

    def compute() -> list[Tensor]:
        weights, biases = products.correlate_vectors(x, error, W, biased=True)
        assert biases is not None
        parts = products.multiply_vectors(x, W, bias), products.pass_vectors_back(error, W)
        return [weights, biases, *(part.view(REPLICAS, -1) for part in parts)]

    right = compute()
    W[BAD] = bias[BAD] = x.view(REPLICAS, -1)[BAD] = error.view(REPLICAS, -1)[BAD] = torch.nan
    for ours, before in zip(compute(), right, strict=True):
        assert [torch.equal(*pair) for pair in zip(ours, before, strict=True)] == [True, False, True]


@pytest.mark.parametrize("layer", POOLS, ids=str)
def test_a_diverged_replica_changes_no_bit_of_another_in_poolings(
    layer: Pool, kernels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling, "find_kernels", lambda name, kind: kernels[name])
    x = draw(1, 2 * REPLICAS, 7, 7)
    right = pool_and_back(x, layer)
    x.chunk(REPLICAS, 1)[BAD][:] = torch.nan
    for ours, before in zip(pool_and_back(x, layer), right, strict=True):
        pairs = zip(ours.chunk(REPLICAS, 1), before.chunk(REPLICAS, 1), strict=True)
        assert [torch.equal(*pair) for pair in pairs] == [True, False, True]


@pytest.mark.parametrize(("size", "layer"), [(size, layer) for size in ODD_POOLS for layer in ODD_POOLS[size]])
@pytest.mark.usefixtures("fill_new_tensors")
def test_odd_poolings_are_those_of_plain_operations(
    size: tuple[int, int], layer: Pool, kernels: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = draw(1, 5, *size)
    right = pool_and_back(x, layer)
    monkeypatch.setattr(pooling, "find_kernels", lambda name, kind: kernels[name])
    for ours, expected in zip(pool_and_back(x, layer), right, strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=0)
