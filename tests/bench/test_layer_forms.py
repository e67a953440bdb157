"""Every form of a layer computes what the engine's layers compute, and is measured or left out with a reason."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from asymbp_cli.bench import compare_forms as comparing
from asymbp_cli.bench.compare_forms import compare_forms
from asymbp_cli.bench.layer_cases import LayerCase, WeightedLayer, list_layers, make_case
from asymbp_cli.bench.layer_forms import BRANCHES, IN_A_GRAPH, REFERENCE, UNFOLD, Form, list_forms, list_forms_on
from asymbp_cli.specs.layers import FC, Conv
from asymbp_cli.training import layers

CPU = torch.device("cpu")
SMALL = [
    WeightedLayer("same", Conv((5, 5), 6, padding=2), (7, 6, 4), first=False),
    WeightedLayer("valid", Conv((3, 2), 5), (6, 6, 3), first=False),
    WeightedLayer("one channel", Conv((3, 3), 4), (6, 6, 1), first=True),
    WeightedLayer("stride", Conv((4, 3), 4, stride=2, padding=1), (9, 8, 3), first=False),
    WeightedLayer("stride of a first layer", Conv((3, 3), 4, stride=2), (8, 8, 2), first=True),
    WeightedLayer("FC", FC(5), (7,), first=False),
    WeightedLayer("FC of an image", FC(5), (2, 2, 3), first=True),
]
BY_NAME = pytest.mark.parametrize("layer", SMALL, ids=lambda layer: layer.name)
EACH_FORM = pytest.mark.parametrize(
    ("layer", "name"), [(layer, name) for layer in SMALL for name in list_forms(layer.layer)], ids=str
)


def small(layer: WeightedLayer, device: torch.device = CPU) -> LayerCase:
    return make_case(layer, 3, device, batch=4, dtype=torch.float64)


def by_the_engine(case: LayerCase, replica: int) -> list[Tensor]:
    """Output, gradient of W and, but in a first layer, of x, by layers.py and autograd."""
    x, W, error, *feedback = case.arguments(replica)
    x, W = x.clone().requires_grad_(bool(feedback)), W.clone().requires_grad_()
    V = feedback[0] if feedback else W.detach()
    if isinstance(case.layer, FC):
        y = layers.linear(x, W, V)
    else:
        y = layers.conv2d(x, W, V, stride=case.layer.stride, padding=case.layer.padding)
    return [y.detach(), *torch.autograd.grad(y, [W, x] if feedback else [W], error)]


def check(form: Form, case: LayerCase, same: Callable[[Tensor, Tensor], None]) -> None:
    found = form.split(form.run())
    assert len(found) == case.count == 3
    for replica, products in enumerate(found):
        expected = by_the_engine(case, replica)
        assert len(products) == len(expected) == (3 if case.feedback else 2)
        for ours, theirs in zip(products, expected, strict=True):
            assert ours.shape == theirs.shape
            same(ours, theirs)


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@BY_NAME
def test_the_reference_is_what_the_engine_computes(layer: WeightedLayer) -> None:
    case = small(layer)
    check(
        list_forms(layer.layer)[REFERENCE](case),
        case,
        lambda ours, theirs: torch.testing.assert_close(ours, theirs, rtol=0, atol=0),
    )


@EACH_FORM
def test_every_form_equals_the_engine(layer: WeightedLayer, name: str) -> None:
    case = small(layer)
    check(list_forms(layer.layer)[name](case), case, close)


@BY_NAME
def test_replicas_differ(layer: WeightedLayer) -> None:
    """Else a form that mixed replicas up would pass."""
    first, *others = (by_the_engine(small(layer), replica) for replica in range(3))
    for other in others:
        assert not any(torch.allclose(a, b) for a, b in zip(first, other, strict=True))


def test_every_weighted_layer_of_table_1_is_compared() -> None:
    found = list_layers()
    assert len(found) == 4 + 5 + 4 + 5 + 3
    assert [layer.name for layer in found if layer.first] == [
        "mnist 1: Conv 5x5x20/1",
        "cifar 1: Conv 5x5x32/1 pad 2",
        "svhn 1: Conv 5x5x20/1",
        "large 1: Conv 9x9x48/2",
        "timit 1: FC 512",
    ]
    convolutions = [layer.layer for layer in found if isinstance(layer.layer, Conv)]
    assert all(convolution.dilation == convolution.groups == 1 for convolution in convolutions)
    case = make_case(found[1], 2, CPU)  # the engine's layout: features last, without a copy
    for tensor in (case.x[0], case.weights[0], case.feedback[0], case.errors[0]):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert [tuple(t.shape) for t in case.arguments(0)] == [
        (100, 20, 12, 12),
        (50, 20, 5, 5),
        (100, 50, 8, 8),
        (50, 20, 5, 5),
    ]


def test_forms_are_ratios_to_the_reference() -> None:
    conv, fc = compare_forms("cpu", replicas=2, rounds=1, seconds=0, layers=[SMALL[1], SMALL[5]])
    assert [m.name for m in conv.measures] == list(list_forms(SMALL[1].layer))
    assert [m.name for m in fc.measures] == [REFERENCE, "bmm"]
    assert conv.measures[0].ratio == 1
    assert all(m.seconds > 0 for m in (*conv.measures, *fc.measures))
    assert conv.skipped == fc.skipped == {BRANCHES: "only CUDA has graphs, this is cpu"}


def test_a_form_without_room_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    large = next(layer for layer in list_layers() if layer.name.startswith("large 3"))
    assert comparing._bytes(large, UNFOLD, 5) > 5 * 2 * 4 * 100 * 24 * 24 * 5 * 5 * 48 > comparing._CPU_BYTES
    assert comparing._bytes(large, REFERENCE, 5) < comparing._CPU_BYTES
    monkeypatch.setattr(comparing, "_CPU_BYTES", comparing._bytes(SMALL[0], REFERENCE, 2))
    (found,) = compare_forms("cpu", replicas=2, rounds=1, seconds=0, layers=SMALL[:1])
    assert UNFOLD not in [m.name for m in found.measures]
    assert "GiB of memory, more than the" in found.skipped[UNFOLD]
    monkeypatch.setattr(comparing, "_CPU_BYTES", 1)
    (nothing,) = compare_forms("cpu", replicas=2, rounds=1, seconds=0, layers=SMALL[:1])
    assert not nothing.measures
    assert {REFERENCE, UNFOLD} < set(nothing.skipped)


def test_a_form_that_is_too_slow_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "_first_call", lambda run, device: 3.0)
    (found,) = compare_forms("cpu", replicas=2, rounds=1, seconds=0, layers=SMALL[5:6])
    assert [m.name for m in found.measures] == [REFERENCE]  # the reference is measured in any case
    assert found.skipped["bmm"] == "a call takes longer than 2 s"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: there is no CUDA device")
@BY_NAME
def test_every_form_on_cuda_equals_the_engine_there(layer: WeightedLayer) -> None:
    device = torch.device("cuda")
    makers = list_forms_on(device, layer.layer)
    assert {BRANCHES, IN_A_GRAPH, *list_forms(layer.layer)} == set(makers)
    case = small(layer, device)
    for make in makers.values():
        check(make(case), case, close)
    (found,) = compare_forms("cuda", replicas=2, rounds=1, seconds=0, layers=[layer])
    assert [m.name for m in found.measures] == list(makers)
