"""Asymmetric layers against torch's autograd and against an independent construction, in float64."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asymbp_cli.training import layers
from asymbp_cli.training.draws import generator
from asymbp_cli.training.products import Geometry

GEOMETRIES = st.builds(
    Geometry,
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
)


def randn(*shape: int, key: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator("layers", key)).requires_grad_()


def conv_tensors(groups: int, kernel: tuple[int, int], bias: bool) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    shape = (6, 4 // groups, *kernel)
    return randn(3, 4, 9, 8, key=0), randn(*shape, key=1), randn(*shape, key=2), randn(6, key=3) if bias else None


def gradients(y: Tensor, *inputs: Tensor | None) -> list[Tensor]:
    wanted = [tensor for tensor in inputs if tensor is not None]
    error = torch.randn(y.shape, dtype=torch.float64, generator=generator("error"))
    return list(torch.autograd.grad(y, wanted, error))


def close(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def alone(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias[None]


def conv2d(x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """Convolve with the weights of a single replica."""
    return layers.conv2d(x, W[None], V[None], alone(bias), geometry)


def linear(x: Tensor, W: Tensor, V: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply with the weights of a single replica."""
    return layers.linear(x, W[None], V[None], alone(bias))


@settings(max_examples=30, deadline=None)
@given(GEOMETRIES, st.tuples(st.integers(1, 3), st.integers(1, 3)), st.booleans())
def test_convolution_with_v_equal_w_is_backpropagation(geometry, kernel, bias) -> None:  # type: ignore[no-untyped-def]
    x, W, _, b = conv_tensors(geometry.groups, kernel, bias)
    ours, theirs = conv2d(x, W, W.detach(), b, geometry), F.conv2d(x, W, b, *geometry)
    assert torch.equal(ours, theirs)
    close(gradients(ours, x, W, b), gradients(theirs, x, W, b))


@settings(max_examples=30, deadline=None)
@given(GEOMETRIES, st.tuples(st.integers(1, 3), st.integers(1, 3)), st.booleans())
def test_asymmetric_convolution(geometry, kernel, bias) -> None:  # type: ignore[no-untyped-def]
    """x's gradient from a convolution with V, W's and the bias's from one with W that x does not see."""
    x, W, V, b = conv_tensors(geometry.groups, kernel, bias)
    through_v = F.conv2d(x, V.detach(), None, *geometry)
    oracle = F.conv2d(x.detach(), W, b, *geometry) + through_v - through_v.detach()
    ours = conv2d(x, W, V, b, geometry)
    torch.testing.assert_close(ours, oracle)
    close(gradients(ours, x, W, b), gradients(oracle, x, W, b))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 6), st.booleans())
def test_asymmetric_linear(batch, inputs, outputs, bias) -> None:  # type: ignore[no-untyped-def]
    x, W, V = randn(batch, inputs, key=0), randn(outputs, inputs, key=1), randn(outputs, inputs, key=2)
    b = randn(outputs, key=3) if bias else None
    through_v = F.linear(x, V.detach())
    oracle = F.linear(x.detach(), W, b) + through_v - through_v.detach()
    ours = linear(x, W, V, b)
    torch.testing.assert_close(ours, oracle)
    close(gradients(ours, x, W, b), gradients(oracle, x, W, b))
    plain = linear(x, W, W.detach(), b)
    close(gradients(plain, x, W, b), gradients(F.linear(x, W, b), x, W, b))


def test_equation_2_by_hand() -> None:
    """Two inputs, one ReLU unit: dE/dX_i = V_i f'(N) dE/dY, and dE/dW_i = X_i f'(N) dE/dY."""
    x = torch.tensor([[2.0, 3.0]], requires_grad=True)
    W = torch.tensor([[1.0, -0.5]], requires_grad=True)
    V = torch.tensor([[-7.0, 11.0]])
    y = linear(x, W, V).relu()  # N = 0.5
    (4 * y).sum().backward()
    assert x.grad is not None
    assert W.grad is not None
    assert x.grad.tolist() == [[-28.0, 44.0]]
    assert W.grad.tolist() == [[8.0, 12.0]]


def test_feedback_weights_receive_no_gradient() -> None:
    x, W, V = randn(2, 3, key=0), randn(4, 3, key=1), randn(4, 3, key=2)
    with pytest.raises(RuntimeError, match="unused"):
        torch.autograd.grad(linear(x, W, V).sum(), [V])


@pytest.mark.parametrize("shape", [(6, 5), (4, 5, 3, 2)])
@pytest.mark.parametrize("learnable", [False, True])
def test_batch_normalization_equals_the_explicit_formula(shape: tuple[int, ...], learnable: bool) -> None:
    x = (randn(*shape, key=0) * 3 + 1).detach().requires_grad_()
    scale, shift = (randn(5, key=1), randn(5, key=2)) if learnable else (None, None)
    axes = [0, *range(2, x.ndim)]
    form = (1, 5, *[1] * (x.ndim - 2))
    mean = x.mean(axes, keepdim=True)
    std = ((x - mean) ** 2).mean(axes, keepdim=True)
    explicit = (x - mean) / (std + 1e-5).sqrt()
    if scale is not None and shift is not None:
        explicit = explicit * scale.view(form) + shift.view(form)
    ours = layers.batch_norm(x, scale, shift, epsilon=1e-5)
    torch.testing.assert_close(ours, explicit)
    close(gradients(ours, x, scale, shift), gradients(explicit, x, scale, shift))

    x, mean, std = x.detach(), mean.detach(), std.detach()
    found = layers.batch_statistics(x)
    torch.testing.assert_close(found[0], mean.flatten())
    torch.testing.assert_close(found[1], std.flatten().sqrt())
    tested = layers.normalize(x, *found, scale, shift, epsilon=1e-5)
    torch.testing.assert_close(tested, explicit)


@pytest.mark.parametrize("learnable", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 5), (1, 5, 1, 1)])
def test_a_batch_of_a_single_value_is_normalized_to_exactly_zero(
    shape: tuple[int, ...], dtype: torch.dtype, learnable: bool
) -> None:
    x = (randn(*shape, key=0) * 300).to(dtype).detach().requires_grad_()
    scale, shift = (randn(5, key=1), randn(5, key=2)) if learnable else (None, None)
    parts = [None if part is None else part.to(dtype).detach().requires_grad_() for part in (scale, shift)]
    y = layers.batch_norm(x, *parts, epsilon=1e-5)
    assert torch.equal(y.flatten(), torch.zeros(5, dtype=dtype) if parts[1] is None else parts[1])
    error = torch.ones_like(y)
    of_x, *of_parts = torch.autograd.grad(y, [x, *(part for part in parts if part is not None)], error)
    assert not of_x.any()
    if learnable:
        assert not of_parts[0].any()
        assert torch.equal(of_parts[1], error.flatten())


def test_a_single_value_that_is_not_finite_is_still_noticed() -> None:
    y = layers.batch_norm(torch.tensor([[torch.inf, torch.nan, 1.0]]), epsilon=1e-5)
    assert y.isnan().tolist() == [[True, True, False]]


def test_of_other_batches_the_bits_are_those_of_torch() -> None:
    for shape in ((2, 5), (1, 5, 2, 1)):
        x = randn(*shape, key=0).float()
        of_torch = torch.batch_norm(x, None, None, None, None, True, 0.0, 1e-5, False)
        assert torch.equal(layers.batch_norm(x, epsilon=1e-5), of_torch)
