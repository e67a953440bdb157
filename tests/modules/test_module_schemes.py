"""V of converted layers, scheme by scheme, against closed forms and steps worked by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import asymbp_cli as asymbp
from asymbp_cli.modules.layers import Asymmetric
from asymbp_cli.specs.feedback import Feedback


def make(inputs: int = 40, outputs: int = 300, *, normal: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(inputs, inputs), nn.ReLU(), nn.Linear(inputs, outputs))
    if normal:
        nn.init.normal_(module[2].weight, std=0.1)
    return module


def second(module: nn.Module) -> Asymmetric:
    layer = module.get_submodule("2")
    assert isinstance(layer, Asymmetric)
    return layer


def value(module: nn.Module) -> Tensor:
    """Return the V of the layer 2."""
    layer = second(module)
    return layer.rule.value(layer).clone()


def forward(module: nn.Module) -> None:
    module(torch.ones(1, module.get_parameter("0.weight").shape[1]))


#: cos = (1 - 2p) E|w| E m / sqrt(E w^2 E m^2)
ANGLES = [("usf", 0.0, 30.0, 37.1)] + [
    (scheme, p, uniform, normal)
    for scheme in ("brsf", "frsf")
    for p, uniform, normal in ((0.0, 41.4, 46.3), (0.25, 68.0, 69.8), (0.5, 90, 90), (1.0, 138.6, 133.7))
]


@pytest.mark.parametrize(("scheme", "p", "uniform", "normal"), ANGLES)
def test_angles_have_their_closed_form(scheme: str, p: float, uniform: float, normal: float) -> None:
    for is_normal, expected in ((False, uniform), (True, normal)):
        module = asymbp.convert(make(normal=is_normal), Feedback(scheme=scheme, flip_probability=p))
        forward(module)
        found = asymbp.angles(module)["2"]
        assert found.angle == pytest.approx(expected, abs=1.5)
        assert found.agreement == pytest.approx(1 - p, abs=0.02)


@pytest.mark.parametrize(("r", "expected"), [(0.25, 75.5), (0.5, 60.0), (0.9, 25.8), (0, 90), (1, 0)])
def test_soft_alignment_starts_at_its_angle(r: float, expected: float) -> None:
    found = asymbp.angles(asymbp.convert(make(), Feedback(scheme="soft", alignment=r)))["2"]
    assert found.angle == pytest.approx(expected, abs=1.5)
    assert found.norm_ratio == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("scheme", ["usf", "startsf", "frsf", "brsf"])
@pytest.mark.parametrize(
    ("scale", "size"), [("glorot", (2 / 340) ** 0.5), ("kaiming", 120**-0.5), ("fan", 40**-0.5), ("unit", None)]
)
def test_scales_have_their_size(scheme: str, scale: str, size: float | None) -> None:
    module = asymbp.convert(make(), Feedback.model_validate({"scheme": scheme, "scale": scale}))
    random = scheme.endswith("rsf")
    expected = size or (3**-0.5 if random else 1.0)
    assert value(module).square().mean().sqrt().item() == pytest.approx(expected, rel=0.02 if random else 1e-5)


def test_scale_of_convolutions_and_nusf_count_by_field_and_group() -> None:
    module = nn.Sequential(nn.Linear(1, 1), nn.Identity(), nn.Conv2d(4, 6, (2, 3), groups=2))
    scaled = asymbp.convert(module, Feedback(scheme="usf", scale="fan"))
    assert value(scaled).abs().unique().item() == pytest.approx((2 / 36) ** 0.5)
    module = nn.Sequential(nn.Linear(1, 1), nn.Identity(), nn.ConvTranspose2d(4, 6, (2, 3), groups=2))
    assert value(asymbp.convert(module, "NuSF")).abs().unique().item() == pytest.approx(1 / 12)


@pytest.mark.parametrize("scheme", ["usf", "nusf", "brsf", "frsf", "rndf", "fa", "soft", "startsf"])
def test_densities_are_nested_and_stay(scheme: str) -> None:
    few, many = (
        asymbp.convert(make(), Feedback(scheme=scheme, density=density), seed=4) for density in (0.25, 0.5)
    )
    assert (value(few) != 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert not ((value(few) != 0) & (value(many) == 0)).any()
    before = value(few) != 0
    forward(few)
    assert torch.equal(value(few) != 0, before)


@pytest.mark.parametrize("scheme", ["brsf", "noisy"])
def test_draws_are_new_for_training_and_stay_in_evaluation(scheme: str) -> None:
    module = asymbp.convert(make(), scheme)
    forward(module)
    one = value(module)
    forward(module.eval())
    with torch.no_grad():
        forward(module.train())
    assert torch.equal(value(module), one)
    forward(module)
    assert not torch.equal(value(module), one)


def test_noise_and_rounding_follow_their_formulas() -> None:
    module = asymbp.convert(make(), Feedback(scheme="noisy", noise=0.25))
    W = second(module).weight.detach()
    relative = (value(module) - W) / W.abs()
    assert relative.std().item() == pytest.approx(0.25, rel=0.03)
    assert relative.mean().item() == pytest.approx(0, abs=0.01)
    module = asymbp.convert(nn.Sequential(nn.Linear(2, 2), nn.Identity(), nn.Linear(2, 2)), "ternary")
    second(module).weight.data = torch.tensor([[1.0, -3.0], [0.5, 0.0]])
    assert value(module).tolist() == [[2.0, -2.0], [0.0, 0.0]]  # the mean is 1.125: 0.7875 and more are large


def test_feedback_alignment_has_the_values_of_w_or_others_if_they_are_equal() -> None:
    module = asymbp.convert(make(), "FA")
    W = second(module).weight.detach()
    assert torch.equal(value(module).flatten().sort().values, W.flatten().sort().values)
    assert asymbp.angles(module)["2"].angle == pytest.approx(90, abs=2)
    plain = make()
    nn.init.zeros_(plain[2].weight)
    assert value(asymbp.convert(plain, "FA")).std().item() == pytest.approx((2 / 340) ** 0.5, rel=0.03)


def loss(module: nn.Module, number: int) -> Tensor:
    x = torch.randn(8, 40, generator=torch.Generator().manual_seed(number))
    return F.cross_entropy(module(x), torch.arange(8))


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_kolen_pollack_from_w_is_backpropagation_under_any_optimizer(kind: str) -> None:
    found = []
    for scheme in ("bp", "kp"):
        module = asymbp.convert(make(), scheme)
        if scheme == "kp":
            second(module).feedback_weight.data.copy_(second(module).weight)
        optimizer = (
            torch.optim.SGD(module.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
            if kind == "sgd"
            else torch.optim.AdamW(module.parameters(), 0.01)
        )
        for number in range(4):
            optimizer.zero_grad()
            loss(module, number).backward()
            optimizer.step()
        found.append(module)
    assert torch.equal(second(found[0]).weight, second(found[1]).weight)
    assert torch.equal(value(found[1]), second(found[1]).weight)


def test_kolen_pollack_shrinks_its_distance_by_the_decay() -> None:
    module = asymbp.convert(make(), "KP")
    start = value(module) - second(module).weight.detach()
    optimizer = torch.optim.SGD(module.parameters(), 0.1, weight_decay=0.5)
    for number in range(3):
        optimizer.zero_grad()
        loss(module, number).backward()
        optimizer.step()
    torch.testing.assert_close(value(module) - second(module).weight.detach(), start * 0.95**3)


@pytest.mark.parametrize("scheme", ["pfa", "pfa-o"])
@pytest.mark.parametrize("transposed", [False, True])
def test_v_of_pfa_is_b_times_an_r_that_learns(scheme: str, transposed: bool) -> None:
    form = nn.ConvTranspose2d(4, 6, 2, groups=2) if transposed else nn.Conv2d(4, 6, 2, groups=2)
    module = asymbp.convert(nn.Sequential(nn.Conv2d(1, 4, 1), nn.Identity(), form), scheme)
    layer = second(module)
    before = layer.to_rows(value(module))
    module(torch.randn(2, 1, 3, 3)).square().sum().backward()
    g = layer.to_rows(layer.weight.grad)
    learned = layer.to_rows(layer.feedback_weight.grad)
    if scheme == "pfa-o":
        torch.testing.assert_close(learned, g)
        return
    square = layer.feedback_square
    torch.testing.assert_close(learned, square @ g)
    assert torch.linalg.eigvalsh(square).min() > 0
    assert before.shape == (3 if transposed else 6, 16 if transposed else 8)


def test_frozen_weights_have_a_frozen_v() -> None:
    module = make()
    module[2].requires_grad_(False)
    asymbp.convert(module, "KP")
    before = value(module)
    loss(module, 0).backward()
    assert second(module).feedback_weight.grad is None
    assert torch.equal(value(module), before)


def test_the_mirror_turns_v_to_w() -> None:
    feedback = Feedback(scheme="wm", mirror_rate=0.1, mirror_noise=1.0, mirror_decay=0.1)
    module = asymbp.convert(make(20, 30), feedback)
    asymbp.mirror(module, torch.zeros(64, 20), steps=80)
    assert asymbp.angles(module)["2"].angle < 15
    expected = 64 * 0.1 / 12 / 0.1  # samples x rate x variance of the noise / decay
    assert asymbp.angles(module)["2"].norm_ratio == pytest.approx(expected, rel=0.1)
    before = value(module)
    forward(module.eval())
    assert torch.equal(value(module), before)
    forward(module.train())
    assert not torch.equal(value(module), before)


def test_one_mirror_step_by_hand() -> None:
    module = asymbp.convert(
        nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 2), nn.Conv2d(3, 3, 1)),
        Feedback(scheme="wm", mirror_rate=0.5, mirror_noise=2.0, mirror_decay=0.25),
    )
    layer, seen = module[1], []
    original = layer.multiply
    layer.multiply = lambda x: seen.append(x) or original(x)
    V = layer.feedback_weight.clone()
    module(torch.randn(2, 1, 4, 4))
    (noise,) = seen
    assert noise.abs().max() <= 1
    W = layer.weight.detach().requires_grad_()
    y = F.conv2d(noise, W, layer.bias.detach())
    (change,) = torch.autograd.grad(y, W, y.detach().relu())
    torch.testing.assert_close(layer.feedback_weight, 0.75 * V + 0.5 * change)


@pytest.mark.parametrize("way", ["wrapped", "in place"])
def test_a_compiled_module_mirrors(way: str) -> None:
    module, plain = (asymbp.convert(make(20, 30), "wm") for _ in range(2))
    call = torch.compile(module, backend="eager") if way == "wrapped" else module
    if way == "in place":
        module.compile(backend="eager")
    with torch.no_grad():
        call(torch.zeros(2, 20))
    asymbp.mirror(call, torch.zeros(2, 20), steps=3)
    asymbp.mirror(plain, torch.zeros(2, 20), steps=3)
    assert torch.equal(value(module), value(plain))


def test_single_samples_mirror() -> None:
    convolutions = (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Identity(), nn.Conv2d(2, 3, 2)) for _ in range(2))
    module, same = (asymbp.convert(part, "wm") for part in convolutions)
    same.load_state_dict(module.state_dict())
    before = value(module)
    asymbp.mirror(module, torch.zeros(1, 4, 4))
    asymbp.mirror(same, torch.zeros(1, 1, 4, 4))
    assert torch.equal(value(module), value(same))
    assert not torch.equal(value(module), before)


def test_a_mirror_that_reaches_no_layer_says_so() -> None:
    module = asymbp.convert(make(), "WM")
    module.forward = lambda x: x
    with pytest.raises(asymbp.AsymbpError, match="no V has changed"):
        asymbp.mirror(module, torch.zeros(1, 40))


def test_only_the_mirror_mirrors() -> None:
    with pytest.raises(asymbp.AsymbpError, match="Only the weight mirror mirrors"):
        asymbp.mirror(asymbp.convert(make(), "KP"), torch.zeros(1, 40))
