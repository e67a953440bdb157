"""Products of a whole stack equal those of each replica alone; Triton's kernels equal the plain operations."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from kernels_in_the_interpreter import interpret
from layer_cases import GEOMETRIES, REPLICAS, draw
from torch import Tensor

from asymbp_cli.training import layers, products
from asymbp_cli.training.products import Geometry


@pytest.fixture(scope="module")
def kernels() -> Iterator[Any]:
    pytest.importorskip("triton", reason="not run: Triton is not installed")
    with interpret("products") as modules:
        yield modules["products"]


@pytest.fixture
def exact_kernels(kernels: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Kernels whose float32 products are exact."""
    monkeypatch.setattr(kernels, "_SPLIT", False)
    return kernels


def each(x: Tensor, *, shared: bool) -> list[Tensor]:
    return [x] * REPLICAS if shared else list(x.chunk(REPLICAS, 1))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("shared", [False, True], ids=["own input", "shared input"])
def test_a_convolution_of_a_stack_is_that_of_each_replica(geometry: Geometry, shared: bool) -> None:
    W, V, bias = draw(REPLICAS, 6, 4 // geometry.groups, 3, 2), draw(REPLICAS, 6, 4 // geometry.groups, 3, 2), None
    bias = draw(REPLICAS, 6)
    x = draw(2, 4 if shared else 4 * REPLICAS, 8, 9)
    W.requires_grad_()
    bias.requires_grad_()
    if not shared:
        x.requires_grad_()
    y = layers.conv2d(x, W, V, bias, geometry)
    error = draw(*y.shape)
    found = torch.autograd.grad(y, [W, bias] if shared else [W, bias, x], error)
    inputs = each(x.detach(), shared=shared)
    outputs = [F.conv2d(part, w, b, *geometry) for part, w, b in zip(inputs, W, bias, strict=True)]
    torch.testing.assert_close(y, torch.cat(outputs, 1))
    for r, e in enumerate(error.chunk(REPLICAS, 1)):
        w, b, part = W[r].detach().requires_grad_(), bias[r].detach().requires_grad_(), inputs[r].requires_grad_()
        right = torch.autograd.grad(F.conv2d(part, w, b, *geometry), [w, b], e)
        for ours, expected in zip(found, right, strict=False):
            torch.testing.assert_close(ours[r], expected)
        if not shared:  # the error of the input is that of a network whose weights are V
            (back,) = torch.autograd.grad(F.conv2d(part, V[r], None, *geometry), part, e)
            torch.testing.assert_close(found[2].chunk(REPLICAS, 1)[r], back)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("shared", [False, True], ids=["own input", "shared input"])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # of numpy, by which Triton interprets
def test_kernels_convolve_as_plain_operations(geometry: Geometry, shared: bool, exact_kernels: Any) -> None:
    kernels = exact_kernels
    W = draw(REPLICAS, 18, 3, 2, 4 // geometry.groups).permute(0, 1, 4, 2, 3)  # as rows of a bank are stored
    x, bias = draw(3, 4 if shared else 4 * REPLICAS, 9, 8), draw(REPLICAS, 18)
    for b in (bias, None):
        expected = products.multiply(x, W, b, geometry)
        torch.testing.assert_close(kernels.multiply(x, W, b, geometry), expected, rtol=1e-4, atol=1e-4)
    error = draw(*expected.shape)
    for biased in (True, False):
        right = products.correlate(x, error, W, geometry, biased=biased)
        for ours, theirs in zip(kernels.correlate(x, error, W, geometry, biased=biased), right, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    if not shared:
        back = kernels.pass_back(error, W, (9, 8), geometry)
        torch.testing.assert_close(back, products.pass_back(error, x, W, geometry), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_kernels_sum_gradients_in_parts(exact_kernels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = exact_kernels
    monkeypatch.setattr(kernels, "_CHUNK", 64)
    x, W, geometry = draw(4, 3, 9, 8), draw(REPLICAS, 5, 3, 3, 3), Geometry(padding=1)
    error = draw(4, 5 * REPLICAS, 9, 8)  # 288 positions: the last part is half full
    found = kernels.correlate(x, error, W, geometry, biased=True)
    for ours, right in zip(found, products.correlate(x, error, W, geometry, biased=True), strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shared", [False, True], ids=["own input", "shared input"])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_kernels_multiply_vectors(shared: bool, exact_kernels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = exact_kernels
    x, W, bias = draw(7, 70 if shared else 70 * REPLICAS), draw(REPLICAS, 66, 70), draw(REPLICAS, 66)
    right = products.multiply_vectors(x, W, bias)
    inputs = each(x, shared=shared)
    by_hand = torch.cat([part @ w.T + b for part, w, b in zip(inputs, W, bias, strict=True)], 1)
    torch.testing.assert_close(right, by_hand)
    error = draw(*right.shape)
    gradients = products.correlate_vectors(x, error, W, biased=True)
    back = products.pass_vectors_back(error, W)
    monkeypatch.setattr(products, "find_kernels", lambda name, kind: kernels)
    torch.testing.assert_close(products.multiply_vectors(x, W, bias), right, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(products.correlate_vectors(x, error, W, biased=True), gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(products.pass_vectors_back(error, W), back, rtol=1e-4, atol=1e-4)
    for r, (e, v) in enumerate(zip(error.chunk(REPLICAS, 1), W, strict=True)):
        torch.testing.assert_close(back.chunk(REPLICAS, 1)[r], e @ v)
        torch.testing.assert_close(gradients[0][r], e.T @ inputs[r])


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_gradients_by_products_of_bf16_are_nearer_than_those_of_tf32(kernels: Any) -> None:
    """A float32 number is a sum of two of bf16, 8 bits each; what is left out is the product of the small ones."""
    x, W, geometry = draw(4, 3 * REPLICAS, 9, 8), draw(REPLICAS, 5, 3, 3, 3), Geometry(padding=1)
    error = draw(4, 5 * REPLICAS, 9, 8)
    (right, biases), (most, _) = (
        products.correlate(*operands, W, geometry, biased=True)
        for operands in ((x, error), (x.abs(), error.abs()))
    )
    found, found_biases = kernels.correlate(x, error, W, geometry, biased=True)
    torch.testing.assert_close(found_biases, biases, rtol=1e-5, atol=1e-5)
    distances = (found - right).abs() / most
    assert 0 < distances.max() < 2**-14 + 2 * 2**-15
    assert distances.mean() < 2**-17
    short = [t.bfloat16().float() for t in (x, error)]  # with nothing in the second number
    right, _ = products.correlate(*short, W, geometry, biased=False)
    torch.testing.assert_close(
        kernels.correlate(*short, W, geometry, biased=False)[0], right, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_errors_of_small_tiles_are_those_of_plain_operations(
    geometry: Geometry, kernels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a tile of few pixels most rows of a field lie outside the image, and are left out."""
    monkeypatch.setattr(kernels, "_ROWS", 16)
    monkeypatch.setattr(kernels, "_LARGE", 2**30 if geometry.groups == 1 else 0)  # places of 32 and of 64 bits
    V, x = draw(2, 4, 4 // geometry.groups, 5, 2), draw(2, 4 * 2, 9, 5)
    error = draw(2, 4 * 2, *geometry.output((9, 5), (5, 2)))
    found = kernels.pass_back(error, V, (9, 5), geometry)
    torch.testing.assert_close(found, products.pass_back(error, x, V, geometry), rtol=1e-4, atol=1e-4)
