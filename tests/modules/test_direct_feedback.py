"""Direct routes of converted modules: what reaches which layer, by hand, and what is refused."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import asymbp_cli as asymbp
from asymbp_cli.errors import UsageError

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 2, 1, 0])


def make() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))


def grads(module: nn.Module) -> dict[str, Tensor]:
    return {name: part.grad.clone() for name, part in module.named_parameters() if part.grad is not None}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("scheme", ["DFA", "sDFA", "DRTP", "DKP"])
def test_gradients_by_hand(scheme: str, reduction: str) -> None:
    module = asymbp.convert(make(), scheme, example_input=X, reduction=reduction)  # type: ignore[arg-type]
    if scheme == "DRTP":
        asymbp.set_targets(module, Y)
    first = torch.tanh(module[0](X).detach())
    second = torch.tanh(F.linear(first, module[2].weight, module[2].bias)).detach()
    logits = F.linear(second, module[4].weight, module[4].bias).detach()
    size = 1 / len(X) if reduction == "mean" else 1.0
    e = (logits.softmax(1) - F.one_hot(Y, 3)) * size
    sent = {"sDFA": e.sign() * size, "DRTP": F.one_hot(Y, 3) * size}.get(scheme, e)
    V = {number: module[number].feedback_weight.detach() for number in (2, 4)}
    of_first = (sent @ V[2]) * (1 - first**2)  # the input of layer 2 is the output of tanh
    of_second = (sent @ V[4]) * (1 - second**2)
    expected = {
        "0.weight": of_first.T @ X,
        "0.bias": of_first.sum(0),
        "2.weight": of_second.T @ first,
        "2.bias": of_second.sum(0),
        "4.weight": e.T @ second,
        "4.bias": e.sum(0),
    }
    if scheme == "DKP":
        expected |= {"2.feedback_weight": e.T @ first, "4.feedback_weight": e.T @ second}
    F.cross_entropy(module(X), Y, reduction=reduction).backward()
    found = grads(module)
    assert set(found) == set(expected)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.head = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        y: Tensor = self.head(h + self.inner(h).tanh())
        return y


def test_errors_pass_skip_connections() -> None:
    """The stem gets its own layer's direct error, and by the skip connection that of the head."""
    module = asymbp.convert(Residual(), "DFA", example_input=X)
    logits = module(X)
    F.cross_entropy(logits, Y).backward()
    e = (logits.detach().softmax(1) - F.one_hot(Y, 3)) / len(X)
    of_stem = e @ module.inner.feedback_weight + e @ module.head.feedback_weight
    torch.testing.assert_close(module.stem.weight.grad, of_stem.T @ X)


def test_convolutions_get_an_error_for_each_pixel() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 2), nn.Flatten(), nn.Linear(12, 3))
    x = torch.randn(6, 1, 3, 3)
    asymbp.convert(module, "DFA", example_input=x)
    logits = module(x)
    F.cross_entropy(logits, Y).backward()
    e = (logits.detach().softmax(1) - F.one_hot(Y, 3)) / len(x)
    error = (e @ module[1].feedback_weight).view(6, 2, 3, 3)
    torch.testing.assert_close(module[0].weight.grad[:, 0, 0, 0], (error * x).sum((0, 2, 3)))


def test_autocast_and_copies() -> None:
    module = asymbp.convert(make(), "DKP", example_input=(X,))
    other = copy.deepcopy(module)
    for part in (module, other):
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(part(X), Y)
        loss.backward()
    assert all(torch.equal(value, grads(other)[name]) for name, value in grads(module).items())
    exact = asymbp.convert(make(), "DKP", example_input=X)
    F.cross_entropy(exact(X), Y).backward()
    for name, value in grads(exact).items():
        torch.testing.assert_close(grads(module)[name], value, rtol=0.05, atol=0.01)


def test_two_forward_passes_before_going_back() -> None:
    module = asymbp.convert(make(), "DFA", example_input=X)
    loss = F.cross_entropy(module(X[:3]), Y[:3], reduction="sum")
    (loss + F.cross_entropy(module(X[3:]), Y[3:], reduction="sum")).backward()
    parts = grads(module)
    module.zero_grad()
    F.cross_entropy(module(X), Y, reduction="sum").backward()
    for name, value in grads(module).items():
        torch.testing.assert_close(parts[name], value)


def test_evaluation_needs_nothing() -> None:
    module = asymbp.convert(make(), "DRTP", example_input=X)
    with torch.no_grad():
        assert torch.equal(module(X), make()(X))
        assert module[2](torch.zeros(1, 5)).shape == (1, 7)


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = make()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(x), x


class Checkpointed(Pair):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        y: Tensor = checkpoint(self.net, x, use_reentrant=False)
        return y


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="must be one tensor"):
        asymbp.convert(Pair(), "DFA", example_input=X)
    with pytest.raises(UsageError, match='reduction is "mean" or "sum"'):
        asymbp.convert(make(), "sDFA", example_input=X, reduction="none")  # type: ignore[arg-type]
    spare = nn.ModuleDict({"used": nn.Linear(4, 3), "spare": nn.Linear(4, 3)})
    spare.forward = lambda x: spare["used"](x)
    with pytest.raises(UsageError, match="does not reach spare"):
        asymbp.convert(spare, "DFA", example_input=X)
    module = asymbp.convert(make(), "DRTP", example_input=X)
    with pytest.raises(UsageError, match="was called outside of it"):
        module[2](torch.zeros(1, 5))
    with pytest.raises(UsageError, match=r"call asymbp\.set_targets"):
        module(X)
    asymbp.set_targets(module, Y[:2])
    with pytest.raises(UsageError, match=r"have the shape \(2,\); an output of \(6, 3\) needs 6 class numbers"):
        module(X)
    with pytest.raises(UsageError, match="Only DRTP takes targets"):
        asymbp.set_targets(asymbp.convert(make(), "DFA", example_input=X), Y)
    asymbp.set_targets(module, F.one_hot(Y, 3).float())
    module(X).sum().backward()
    module = asymbp.convert(make(), "DFA", example_input=X)
    module._is_replica = True
    with pytest.raises(UsageError, match="Use DistributedDataParallel"):
        module(X)


@pytest.mark.parametrize("first", ["evaluation", "failure"])
def test_targets_serve_for_one_forward_pass_whatever_becomes_of_it(first: str) -> None:
    module = asymbp.convert(make(), "DRTP", example_input=X)
    asymbp.set_targets(module, Y)
    if first == "evaluation":
        with torch.no_grad():
            module(X)
    else:
        with pytest.raises(RuntimeError, match="cannot be multiplied"):
            module(torch.zeros(6, 3))
    with pytest.raises(UsageError, match=r"call asymbp\.set_targets"):
        module(X)


def test_a_forward_pass_that_raised_leaves_nothing_open() -> None:
    module = asymbp.convert(make(), "DFA", example_input=X)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        module(torch.zeros(6, 3))
    with pytest.raises(UsageError, match="was called outside of it"):
        module[2](torch.zeros(1, 5))


@pytest.mark.parametrize("scheme", ["DFA", "sDFA", "DKP"])
@pytest.mark.parametrize("reentrant", [True, False])
def test_the_whole_module_may_be_recomputed(scheme: str, reentrant: bool) -> None:
    module = asymbp.convert(make(), scheme, example_input=X)
    x = X.clone().requires_grad_()
    F.cross_entropy(module(x), Y).backward()
    expected = grads(module)
    module.zero_grad()
    F.cross_entropy(checkpoint(module, x, use_reentrant=reentrant), Y).backward()
    assert set(grads(module)) == set(expected)
    for name, value in grads(module).items():
        torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize("reentrant", [True, False])
def test_drtp_is_not_recomputed(reentrant: bool) -> None:
    module = asymbp.convert(make(), "DRTP", example_input=X)
    asymbp.set_targets(module, Y)
    x = X.clone().requires_grad_()
    with pytest.raises(UsageError, match=r"set_targets.*checkpointing"):
        checkpoint(module, x, use_reentrant=reentrant).sum().backward()


class Naming(nn.Module):
    """Calls its layers with keyword arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(input=self.body(input=x))
        return y


def test_layers_are_called_with_keyword_arguments() -> None:
    module = asymbp.convert(Naming(), "DFA", example_input=X)
    F.cross_entropy(module(X), Y).backward()
    assert set(grads(module)) == {"body.weight", "body.bias", "head.weight", "head.bias"}
    module = asymbp.convert(Naming(), "WM")
    before = module.head.feedback_weight.clone()
    asymbp.mirror(module, X)
    assert not torch.equal(module.head.feedback_weight, before)


def test_a_recomputed_part_is_refused() -> None:
    module = asymbp.convert(Checkpointed(), "DFA", example_input=X)
    loss = module(X).sum()
    with pytest.raises(UsageError, match="without checkpointing"):
        loss.backward()


def test_sizes_of_inputs_stay_those_of_the_example() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    asymbp.convert(module, "DFA", example_input=torch.zeros(1, 1, 4, 4))
    with pytest.raises(UsageError, match=r"50 numbers per sample, \(2, 5, 5\), but its V was made for 32"):
        module(torch.zeros(1, 1, 5, 5))
    scan = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))
    scan.forward = lambda x: scan[1](scan[0](x).flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)
    asymbp.convert(scan, "DFA", example_input=torch.zeros(2, 3, 4))
    with pytest.raises(UsageError, match="has 6 and the output 2 samples"):
        scan(torch.zeros(2, 3, 4))
