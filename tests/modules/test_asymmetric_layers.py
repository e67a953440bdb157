"""Every asymmetric layer against matrices: what a linear map is, and its transpose, without autograd."""

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn

import asymbp_cli as asymbp
from asymbp_cli.errors import UsageError
from asymbp_cli.modules.layers import Asymmetric

CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(5, 3), (4, 5)),
    "linear, no bias, 3 dimensions": (lambda: nn.Linear(5, 3, bias=False), (2, 3, 5)),
    "linear, one sample": (lambda: nn.Linear(5, 3), (5,)),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 7)),
    "conv2d": (lambda: nn.Conv2d(2, 3, (2, 3), stride=(2, 1), padding=(1, 2), dilation=(1, 2)), (2, 2, 5, 6)),
    "conv2d, grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False), (2, 4, 4, 5)),
    "conv2d, depthwise": (lambda: nn.Conv2d(3, 6, 3, groups=3, padding="valid"), (2, 3, 4, 4)),
    "conv2d, same": (lambda: nn.Conv2d(2, 3, (2, 3), padding="same", dilation=(1, 2)), (2, 2, 4, 5)),
    "conv2d, reflected": (lambda: nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="reflect"), (2, 2, 4, 5)),
    "conv2d, circular, same": (lambda: nn.Conv2d(2, 3, 2, padding="same", padding_mode="circular"), (2, 2, 4, 3)),
    "conv2d, one sample": (lambda: nn.Conv2d(2, 3, 3), (2, 4, 4)),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2, padding=1), (1, 2, 2, 3, 2)),
    "transposed 1d": (lambda: nn.ConvTranspose1d(4, 6, 3, stride=3, output_padding=2, groups=2), (2, 4, 3)),
    "transposed 2d": (lambda: nn.ConvTranspose2d(2, 3, (2, 3), stride=2, padding=1, dilation=2), (2, 2, 3, 3)),
    "transposed 2d, one sample": (lambda: nn.ConvTranspose2d(2, 3, 2), (2, 3, 3)),
    "transposed 3d": (lambda: nn.ConvTranspose3d(2, 1, 2, stride=2), (1, 2, 2, 1, 2)),
}


class AfterAnother(nn.Module):
    """A layer that is not the first, so that it has a V."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.first, self.layer = nn.Linear(1, 1), layer

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.layer(x))


def apply(layer: nn.Module, weight: Tensor, x: Tensor) -> Tensor:
    """Return the output of a plain layer with another weight and no bias."""
    names = {"weight": weight, **({} if layer.bias is None else {"bias": torch.zeros_like(layer.bias)})}
    return cast(Tensor, torch.func.functional_call(layer, names, (x,)))


def units(like: Tensor) -> list[Tensor]:
    """Return every unit vector of a tensor's shape."""
    return [row.view(like.shape) for row in torch.eye(like.numel(), dtype=like.dtype)]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("case", CASES)
def test_the_error_goes_back_through_v_and_gradients_are_the_true_ones(case: str) -> None:
    make, shape = CASES[case]
    torch.manual_seed(0)
    plain = make().double()
    state = {name: value.clone() for name, value in plain.state_dict().items()}
    layer = asymbp.convert(AfterAnother(make().double()), asymbp.Feedback(scheme="rndf", sigma=1.0)).layer
    assert isinstance(layer, Asymmetric)
    assert isinstance(layer, type(plain))
    layer.load_state_dict(state)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    torch.testing.assert_close(y, plain(x))
    error = torch.randn_like(y)
    y.backward(error)
    V = layer.feedback_weight
    with torch.no_grad():
        of_x = torch.stack([(error * apply(plain, V, unit)).sum() for unit in units(x)]).view(shape)
        of_w = torch.stack([(error * apply(plain, unit, x)).sum() for unit in units(V)]).view(V.shape)
    assert x.grad is not None
    torch.testing.assert_close(x.grad, of_x)
    torch.testing.assert_close(layer.weight.grad, of_w)
    if layer.bias is not None:
        axis = -1 if "linear" in case else 1 if x.ndim == layer.weight.ndim else 0
        features = error.movedim(axis, 0)
        torch.testing.assert_close(layer.bias.grad, features.flatten(1).sum(1) if error.ndim > 1 else error)
    assert V.grad is None


def test_a_transposed_convolution_makes_the_size_that_is_asked_for() -> None:
    layer = asymbp.convert(AfterAnother(nn.ConvTranspose2d(2, 3, 3, stride=2)), "fa").layer
    x = torch.randn(1, 2, 4, 4)
    assert layer(x, output_size=[10, 10]).shape == (1, 3, 10, 10)
    with torch.no_grad():
        torch.testing.assert_close(layer(x, output_size=[10, 10]), layer(x, [10, 10]))


@pytest.mark.parametrize("scheme", ["usf", "sham", "dfa"])
@pytest.mark.parametrize("linear_head", [True, False])
def test_no_second_derivative_is_made_up(scheme: str, linear_head: bool) -> None:
    """A gradient penalty raises, also if the arriving error is a constant."""
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))
    x = torch.randn(6, 4, requires_grad=True)
    y = asymbp.convert(module, scheme, example_input=x)(x)
    y = y if linear_head else y.tanh()
    with pytest.raises(UsageError, match="create_graph=True"):
        torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True)


def test_no_second_derivative_is_made_up_for_convolutions() -> None:
    layer = asymbp.convert(nn.Conv1d(1, 2, 2), "sham", first="same")
    x = torch.randn(1, 1, 3, requires_grad=True)
    with pytest.raises(UsageError, match="create_graph=True"):
        torch.autograd.grad(layer(x).sum(), x, create_graph=True)


@pytest.mark.parametrize("case", ["linear", "conv2d", "transposed 2d"])
def test_autocast_computes_in_bf16_and_leaves_gradients_in_fp32(case: str) -> None:
    make, shape = CASES[case]
    torch.manual_seed(0)
    layer = asymbp.convert(AfterAnother(make()), "usf").layer
    x = torch.randn(shape, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    found = [x.grad, layer.weight.grad]
    assert all(part is not None and part.dtype == torch.float32 for part in found)
    x.grad, layer.weight.grad = None, None
    layer(x).sum().backward()
    for low, high in zip(found, [x.grad, layer.weight.grad], strict=True):
        torch.testing.assert_close(low, high, rtol=0.02, atol=0.1)
