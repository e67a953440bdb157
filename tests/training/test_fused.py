"""The fused kernel equals the plain operations, in Triton's interpreter: no GPU is needed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from kernels_in_the_interpreter import interpret
from layer_cases import STACKS
from small_banks import banks

from asymbp_cli.specs.measures import FIRST_LAYER
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.training import draws, update
from asymbp_cli.training.bank import Bank

pytest.importorskip("triton", reason="not run: Triton is not installed")
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*encountered in:RuntimeWarning"
)  # of numpy, by which it interprets

CPU = torch.device("cpu")
PROTOCOLS: list[dict[str, Any]] = [
    {},
    {"zero_sign": 1, "weight_decay": 0.0, "measure": [FIRST_LAYER]},
    {"precision": "bf16", "nesterov": True},
]


@pytest.fixture(scope="module")
def advance() -> Iterator[Callable[[Bank], None]]:
    """The kernel's caller."""
    with interpret("update") as modules:
        yield modules["update"].advance


@pytest.mark.parametrize("methods", STACKS, ids="/".join)
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_the_kernel_equals_the_plain_operations(
    methods: tuple[str, ...], protocol: dict[str, Any], together: bool, advance: Callable[[Bank], None]
) -> None:
    methods = methods if len(methods) > 1 else methods * 2
    plain, fused = banks(methods, together=together, **protocol)
    schemes = [parse_method(name).feedback.scheme for name in methods for _ in range(2)]  # at two rates
    size, source = plain.model.feedback_size, draws.generator("gradients")
    assert plain.weights.shape[1] > 1024
    for step in range(4):
        gradients = torch.randn(plain.gradients.shape, generator=source)
        gradients[:, ::7] = 0
        finite = torch.ones(len(gradients), dtype=torch.bool)
        if step == 1:  # a weight would stop being finite, in the kernel's last block
            own = [part.columns.stop for part in plain.segments if part.columns.start < plain.model.learned_from]
            gradients[1, min(own[-1], plain.model.learned_from) - 1] = torch.nan
        if step == 2:  # a loss has
            finite[2] = False
        for bank, kernel in ((plain, update.plain), (fused, advance)):
            bank.gradients.copy_(gradients)
            if step == 3:  # another phase
                bank.change_decay(0.25)
            update.update(bank, finite.clone(), kernel)
        assert plain.alive.tolist() == fused.alive.tolist()
        assert plain.alive.tolist()[:3] == [True, step < 1, step < 2]
        alive, ulp = plain.alive, 2**-7 if plain.working is not plain.weights else 0.0
        torch.testing.assert_close(fused.weights, plain.weights, rtol=3e-7, atol=1e-7)
        torch.testing.assert_close(fused.state[alive], plain.state[alive], rtol=3e-7, atol=2e-7)
        torch.testing.assert_close(fused.working.float(), plain.working.float(), rtol=max(3e-7, ulp), atol=1e-7)
        assert fused.feedback_bank.values.shape[1] == size
        for replica in alive.nonzero().flatten().tolist():  # dead ones keep the V that they had
            follows = schemes[replica] in ("bp", "noisy", "ternary", "sham", "kp", "pfa", "pfa-o", "wm", "dkp")
            for name, expected in plain.feedback(replica).items():
                found = fused.feedback(replica)[name]
                if follows:  # W, which may differ in rounding
                    torch.testing.assert_close(found.float(), expected.float(), rtol=max(1e-6, ulp), atol=1e-7)
                else:
                    assert torch.equal(found, expected)
    assert bool(plain.alive.any())
    changed = (fused.weights[0] != fused.weights[1]).any()
    assert bool(changed)


def test_numbers_that_are_no_numbers_or_infinite_are_noticed(advance: Callable[[Bank], None]) -> None:
    for value in (torch.nan, torch.inf, -torch.inf, 3e38):  # the last overflows
        plain, fused = banks(("SGD", "uSF"))
        before = fused.weights.detach().clone()
        for bank, kernel in ((plain, update.plain), (fused, advance)):
            bank.rates.fill_(10.0)
            bank.gradients.zero_()
            bank.gradients[3, 0] = value
            update.update(bank, torch.ones(4, dtype=torch.bool), kernel)
            assert bank.alive.tolist() == [True, True, True, False]
        assert torch.equal(fused.weights[3], before[3])
        assert torch.equal(fused.feedback_bank.values, plain.feedback_bank.values)


def test_a_square_that_overflows_is_noticed(advance: Callable[[Bank], None]) -> None:
    """Adam would never move its weight again."""
    plain, fused = banks(("Adam", "uSF+Adam"))
    for bank, kernel in ((plain, update.plain), (fused, advance)):
        bank.gradients.fill_(0.5)
        bank.gradients[3, 0] = 1e30
        update.update(bank, torch.ones(4, dtype=torch.bool), kernel)
        assert bank.alive.tolist() == [True, True, True, False]
    torch.testing.assert_close(fused.weights, plain.weights)


@pytest.mark.parametrize("bits", [0x7F800000, 0x7FFFFFFF], ids=["infinite", "what a GPU has for not-a-number"])
@pytest.mark.parametrize("precision", ["standard", "bf16"])
def test_a_v_that_only_measures_see_freezes_no_replica(
    precision: str, bits: int, advance: Callable[[Bank], None]
) -> None:
    value = torch.tensor(bits, dtype=torch.int32).view(torch.float32)
    plain, fused = banks(("KP", "KP"), measure=[FIRST_LAYER], precision=precision)
    passed, *_, first = plain.model.learned
    for bank, kernel in ((plain, update.plain), (fused, advance)):
        for part, alive in ((first, True), (passed, False)):
            part.columns(bank.weights)[1] = value
            bank.gradients.fill_(0.5)
            update.update(bank, torch.ones(4, dtype=torch.bool), kernel)
            assert bank.alive.tolist() == [True, alive, True, True]
            assert first.columns(bank.working).isfinite().all(1).tolist() == [True, False, True, True]
    torch.testing.assert_close(fused.working, plain.working, equal_nan=True)
