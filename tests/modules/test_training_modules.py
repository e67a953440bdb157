"""Converted modules of torchvision and torch under ordinary training: steps, compilation, autocast, processes."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint
from torchvision.models import resnet18

import asymbp_cli as asymbp
from asymbp_cli.specs.schemes import SCHEMES

IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
TOKENS = torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(2))
LABELS = torch.tensor([0, 1, 2, 1])
SCHEME_KEYS = [key for key in SCHEMES if key != "mixed"]


class Classifier(nn.Module):
    """A small transformer with dropout, and its mean over tokens."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.encoder(x).mean(1))
        return y


def make(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return (resnet18(num_classes=3), IMAGES) if name == "resnet18" else (Classifier(), TOKENS)


def train(module: nn.Module, x: Tensor) -> Tensor:
    """Take a step, and return all parameters and their gradients."""
    torch.manual_seed(0)  # of dropout
    F.cross_entropy(module(x), LABELS).backward()
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    gradients = [part.grad.flatten() for part in module.parameters() if part.grad is not None]
    return torch.cat([*(part.detach().flatten() for part in module.parameters()), *gradients])


@pytest.mark.parametrize("name", ["resnet18", "transformer"])
def test_sham_equals_the_module_to_the_bit(name: str) -> None:
    module, x = make(name)
    expected = train(module, x)
    assert torch.equal(train(asymbp.convert(make(name)[0], "sham"), x), expected)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("resnet18", "brSF"), ("resnet18", "DFA"), *(("transformer", key) for key in ("uSF-scaled", "brSF", "DFA"))],
)
def test_steps_are_finite_and_differ_from_backpropagation(name: str, scheme: str) -> None:
    module, x = make(name)
    asymbp.convert(module, scheme, example_input=x)
    assert train(module, x).isfinite().all()
    found = [part.grad.norm() for part in module.parameters() if part.grad is not None]
    plain, _ = make(name)
    train(plain, x)
    expected = [part.grad.norm() for part in plain.parameters() if part.grad is not None]
    assert len(found) == len(expected)
    assert sum(not torch.isclose(a, b, rtol=1e-3) for a, b in zip(found, expected, strict=True)) > len(found) / 3


def test_the_fast_path_of_evaluation_answers_the_same() -> None:
    module, x = make("transformer")
    module.eval()
    with torch.no_grad():
        expected = module(x)
    asymbp.convert(module, "usf")
    with torch.no_grad():
        assert torch.equal(module(x), expected)
    torch.testing.assert_close(module(x), expected)


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(4, 2, 2, groups=2),
        nn.Flatten(),
        nn.Linear(162, 6),
        nn.Tanh(),
        nn.Linear(6, 3),
    )


def gradients(module: nn.Module, call: nn.Module, scheme: str) -> Tensor:
    """Take three steps, and return the last gradients."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    for _ in range(3):
        if scheme == "drtp":
            asymbp.set_targets(module, LABELS)
        optimizer.zero_grad()
        F.cross_entropy(call(IMAGES), LABELS).backward()
        optimizer.step()
    return torch.cat([part.grad.flatten() for part in module.parameters() if part.grad is not None])


class Checkpointed(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = checkpoint(self.inner, x, use_reentrant=False)
        return y


@pytest.mark.parametrize("scheme", ["fa", "kp"])
def test_checkpointing_has_the_same_gradients(scheme: str) -> None:
    found = []
    for whole in (True, False):
        module = asymbp.convert(nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)), scheme)
        found.append(module)
        if not whole:
            module.load_state_dict(found[0].state_dict())
        F.cross_entropy((module if whole else Checkpointed(module))(TOKENS.mean(1)), LABELS).backward()
    for one, other in zip(found[0].parameters(), found[1].parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("scheme", ["brsf", "pfa", "drtp"])
def test_a_compiled_module_has_the_same_gradients(scheme: str) -> None:
    found = []
    for compiled in (False, True):
        module = asymbp.convert(small(), scheme, example_input=IMAGES)
        call = torch.compile(module, backend="aot_eager", fullgraph=True) if compiled else module
        found.append(gradients(module, call, scheme))
    torch.testing.assert_close(found[0], found[1])


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("scheme", SCHEME_KEYS)
def test_distributed_training_has_the_same_gradients(scheme: str) -> None:
    alone = asymbp.convert(small(), scheme, example_input=IMAGES)
    module = asymbp.convert(small(), scheme, example_input=IMAGES)
    expected = gradients(alone, alone, scheme)
    torch.testing.assert_close(gradients(module, DistributedDataParallel(module), scheme), expected)


def compare_with(device: str, scheme: str) -> None:
    """Compare the gradients of a step on a device with those on the CPU; draws of training are its own."""
    module = asymbp.convert(small(), scheme, example_input=IMAGES)
    moved, labels = copy.deepcopy(module).to(device), LABELS.to(device)
    if scheme == "drtp":
        asymbp.set_targets(module, LABELS)
        asymbp.set_targets(moved, labels)
    F.cross_entropy(module(IMAGES), LABELS).backward()
    F.cross_entropy(moved(IMAGES.to(device)), labels).backward()
    for one, other in zip(module.parameters(), moved.parameters(), strict=True):
        assert other.grad is not None
        assert other.grad.isfinite().all()
        if scheme not in ("brsf", "noisy", "wm"):
            torch.testing.assert_close(other.grad.cpu(), one.grad, rtol=1e-2, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("scheme", SCHEME_KEYS)
def test_a_gpu_has_the_same_gradients(scheme: str) -> None:
    compare_with("cuda", scheme)


def test_the_comparison_of_devices_compares() -> None:
    compare_with("cpu", "usf")
    compare_with("cpu", "drtp")
