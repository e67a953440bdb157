"""What `convert` changes in a module, and what it refuses."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import asymbp_cli as asymbp
from asymbp_cli.errors import UsageError
from asymbp_cli.modules.layers import Asymmetric
from asymbp_cli.modules.schemes import BUILDERS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.schemes import SCHEMES

LAYERWISE = [key for key, scheme in SCHEMES.items() if scheme.route == "layerwise" and key != "mixed"]


def make(width: int = 6) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 2), nn.Flatten(), nn.Linear(27, width), nn.Linear(width, 5)
    )


X = torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(1))


def test_every_scheme_has_a_builder_or_a_route() -> None:
    assert list(BUILDERS) == LAYERWISE


@pytest.mark.parametrize("scheme", ["usf", "brsf", "fa", "kp", "dfa"])
def test_parameters_names_and_results_stay(scheme: str) -> None:
    module = make()
    before = dict(module.named_parameters())
    expected = module(X)
    assert asymbp.convert(module, scheme, example_input=X) is module
    assert [type(layer).__name__ for layer in module if isinstance(layer, Asymmetric)] == [
        "AsymmetricConv2d",
        "AsymmetricConv2d",
        "AsymmetricLinear",
        "AsymmetricLinear",
    ]
    assert isinstance(module[0], nn.Conv2d)
    after = dict(module.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    assert set(after) - set(before) == (
        {f"{number}.feedback_weight" for number in (2, 4, 5)} if scheme == "kp" else set()
    )
    assert torch.equal(module(X), expected)
    assert module.training


def test_the_seed_decides_every_draw_and_no_global_seed_is_touched() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    modules = [asymbp.convert(make(), "RndF", seed=seed) for seed in (3, 3, 4)]
    asymbp.convert(make(), "brSF")(X).sum().backward()
    make()  # sets the seed to 0 again and draws what it drew
    one, same, other = (module[4].feedback_weight for module in modules)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("scheme", ["usf", "brsf", "frsf", "fa", "kp", "wm", "pfa", "noisy"])
def test_state_dicts_and_copies_go_on_alike(scheme: str) -> None:
    module = asymbp.convert(make(), scheme, seed=1)
    step(module)
    copies = [copy.deepcopy(module), pickle.loads(pickle.dumps(module)), asymbp.convert(make(), scheme, seed=2)]
    copies[2].load_state_dict(module.state_dict())
    expected = step(module)
    for other in copies:
        assert torch.equal(step(other), expected)


def step(module: nn.Module) -> Tensor:
    """Train two steps, and return the parameters."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        module(X).square().sum().backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


@pytest.mark.parametrize("scheme", ["usf", "brsf", "fa", "wm", "pfa"])
def test_the_state_of_a_plain_module_loads_and_v_stays(scheme: str) -> None:
    module = asymbp.convert(make(), scheme)
    V = {name: value.clone() for name, value in module.state_dict().items() if "feedback" in name}
    plain = make()
    plain[4].weight.data.fill_(0.5)
    module.load_state_dict(plain.state_dict())
    assert module[4].weight.unique().tolist() == [0.5]
    assert all(torch.equal(module.state_dict()[name], value) for name, value in V.items())
    if V:
        partial = {name: value for name, value in module.state_dict().items() if name != next(iter(V))}
        with pytest.raises(RuntimeError, match="Missing key"):
            asymbp.convert(make(), "pfa" if scheme == "pfa" else "wm").load_state_dict(partial)


def test_last_and_lists_choose_layers() -> None:
    module = asymbp.convert(make(), asymbp.Feedback(scheme="usf", last="bp"))
    assert set(asymbp.angles(module)) == {"2", "4"}
    module = asymbp.convert(make(), ["FA", "BP", asymbp.LayerFeedback(scheme="frsf")])
    assert set(asymbp.angles(module)) == {"2", "5"}
    assert asymbp.angles(module)["5"].agreement == 1
    module = asymbp.convert(make(), parse_method("brSF-100%"))
    assert asymbp.angles(module)["4"].agreement == 0


def test_a_scheme_of_recipes_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(BUILDERS, "usf")
    with pytest.raises(UsageError, match="convert cannot build usf; it builds bp, nusf, brsf"):
        asymbp.convert(make(), "uSF")


class Odd(nn.Linear):
    pass


def tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    return module


def tied_to_an_embedding() -> nn.Module:
    module = nn.Sequential(nn.Embedding(7, 3), nn.Linear(3, 7))
    module[1].weight = module[0].weight
    return module


def pruned() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 3))
    prune.random_unstructured(module[0], "weight", 0.5)
    return module


@pytest.mark.parametrize(
    ("make_module", "method", "message"),
    [
        (make, "uSF+BN", r'"uSF\+BN" is more than feedback. Write "uSF"'),
        (make, "brSF-25%+BM", 'Write "brSF-25%"'),
        (make, "SGD Top", 'Write "BP"'),
        (make, "uSG", '"uSG" is not a method'),
        (make, 3, "a method is a name"),
        (make, ["uSF"], "got 1 method for 3 layers: .*: 2, 4, 5"),
        (make, ["uSF", "KP", "BP"], "KP cannot be the feedback of one layer"),
        (make, "DFA", "Give convert an example_input"),
        (lambda: nn.Sequential(nn.ReLU()), "uSF", "no Linear or convolution layer"),
        (tied, "uSF", "0 and 1 share one weight"),
        (tied_to_an_embedding, "uSF", "0 and 1 share one weight"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), "uSF", "0 has no size yet"),
        (lambda: nn.Sequential(Odd(3, 3)), "uSF", "0 is a Odd, whose way to compute is not known"),
        (lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 3))), "uSF", "weight of 0 is computed"),
        (pruned, "uSF", "weight of 0 is computed"),
        (lambda: nn.Linear(3, 3, device="meta"), "uSF", "Linear has no real values yet"),
        (lambda: asymbp.convert(make(), "uSF"), "uSF", "2 is converted already"),
        (lambda: nn.Linear(3, 3), "uSF", r"No layer would get uSF: .* its first \(V = W\)\. .*first=\"same\""),
        (
            lambda: nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)),
            asymbp.Feedback(scheme="fa", last="bp"),
            "and its last",
        ),
        (
            lambda: torch.compile(make()),
            "uSF",
            "The module is a OptimizedModule already. Convert the module first",
        ),
        (lambda: nn.Sequential(nn.DataParallel(make())), "uSF", "0 is a DataParallel already"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_what_is_refused(make_module: Callable[[], nn.Module], method: Any, message: str) -> None:
    module = make_module()
    kinds = [type(part) for part in module.modules()]
    with pytest.raises(UsageError, match=message):
        asymbp.convert(module, method)
    assert [type(part) for part in module.modules()] == kinds


def test_the_first_layer_has_the_scheme_if_asked_and_print_shows_it() -> None:
    alone = asymbp.convert(nn.Linear(3, 3), "FA", first="same")
    assert set(asymbp.angles(alone)) == {""}
    assert set(asymbp.angles(asymbp.convert(make(), "uSF", first="same"))) == {"0", "2", "4", "5"}
    assert repr(asymbp.convert(nn.Linear(3, 3), "BP")).endswith("V = W)")
    assert repr(asymbp.AsymmetricLinear(3, 3)).endswith("bias=True, V = W)")
    assert repr(alone).endswith("bias=True, FA)")
    layer = asymbp.convert(make(), "uSF-scaled")[2]
    assert repr(layer) == "AsymmetricConv2d(4, 3, kernel_size=(2, 2), stride=(1, 1), uSF-scaled)"
    with pytest.raises(UsageError, match='first is "bp" or "same"'):
        asymbp.convert(make(), "uSF", first="fa")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 2**63, True, 1.0, "1"])
def test_a_seed_that_is_none_changes_nothing(seed: Any) -> None:
    module = make()
    with pytest.raises(UsageError, match="seed is a whole number from 0"):
        asymbp.convert(module, "brSF", seed=seed)
    assert not any(isinstance(layer, Asymmetric) for layer in module)


def test_what_fails_late_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module, build, calls = make(), BUILDERS["pfa"], [0]

    def fail_at_the_last(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise MemoryError
        return build(*arguments)

    monkeypatch.setitem(BUILDERS, "pfa", fail_at_the_last)
    before = {name: type(part) for name, part in module.named_modules()}, list(module.state_dict())
    with pytest.raises(MemoryError):
        asymbp.convert(module, "PFA")
    assert ({name: type(part) for name, part in module.named_modules()}, list(module.state_dict())) == before


@pytest.mark.parametrize(
    ("saved", "loaded"), [("uSF", "NuSF"), ("FA", "RndF"), ("uSF", "BP"), ("brSF", "brSF-25%")]
)
def test_the_state_of_another_scheme_is_refused(saved: str, loaded: str, tmp_path: Path) -> None:
    torch.save(asymbp.convert(make(), saved).state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt")
    with pytest.raises(RuntimeError, match=f'2: the state is that of "{saved}", and this layer has "{loaded}"'):
        asymbp.convert(make(), loaded).load_state_dict(state, strict=False)
    assert not asymbp.convert(make(), saved).load_state_dict(state).unexpected_keys
    if saved == "uSF":
        make().load_state_dict(state)


def test_attention_is_left_to_itself() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    asymbp.convert(encoder, "FA")
    converted = {name for name, part in encoder.named_modules() if isinstance(part, Asymmetric)}
    assert converted == {f"layers.{i}.linear{j}" for i in (0, 1) for j in (1, 2)}
    assert set(asymbp.angles(encoder)) == converted - {"layers.0.linear1"}


def test_angles_need_a_v() -> None:
    with pytest.raises(UsageError, match="Convert it first"):
        asymbp.angles(nn.Linear(2, 2))
    with pytest.raises(UsageError, match="No layer has a V"):
        asymbp.angles(asymbp.convert(make(), "DFA", example_input=X))


def test_names_come_without_torch() -> None:
    code = "import sys, asymbp_cli as a; assert 'convert' in dir(a); a.Feedback; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert all(hasattr(asymbp, name) for name in asymbp.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        asymbp.nothing  # noqa: B018
