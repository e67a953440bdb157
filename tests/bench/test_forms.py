"""Every form of a layer computes what the engine's layers compute, and is measured or left out with a reason."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from asymbp_cli.bench import forms
from asymbp_cli.bench.forms import REFERENCE, Form, compare, forms_of, forms_on
from asymbp_cli.bench.places import Place, Problem, places, problem
from asymbp_cli.specs.layers import FC, Conv
from asymbp_cli.training import layers

CPU = torch.device("cpu")
SMALL = [
    Place("same", Conv((5, 5), 6, padding=2), (7, 6, 4), first=False),
    Place("valid", Conv((3, 2), 5), (6, 6, 3), first=False),
    Place("one channel", Conv((3, 3), 4), (6, 6, 1), first=True),
    Place("stride", Conv((4, 3), 4, stride=2, padding=1), (9, 8, 3), first=False),
    Place("stride of a first layer", Conv((3, 3), 4, stride=2), (8, 8, 2), first=True),
    Place("FC", FC(5), (7,), first=False),
    Place("FC of an image", FC(5), (2, 2, 3), first=True),
]
BY_NAME = pytest.mark.parametrize("place", SMALL, ids=lambda place: place.name)
EACH_FORM = pytest.mark.parametrize(
    ("place", "name"), [(place, name) for place in SMALL for name in forms_of(place.layer)], ids=str
)


def small(place: Place, device: torch.device = CPU) -> Problem:
    return problem(place, 3, device, batch=4, dtype=torch.float64)


def by_the_engine(p: Problem, replica: int) -> list[Tensor]:
    """Output, gradient of W and, but in a first layer, of x, by layers.py and autograd."""
    x, W, error, *feedback = p.arguments(replica)
    x, W = x.clone().requires_grad_(bool(feedback)), W.clone().requires_grad_()
    V = feedback[0] if feedback else W.detach()
    if isinstance(p.layer, FC):
        y = layers.linear(x, W, V)
    else:
        y = layers.conv2d(x, W, V, stride=p.layer.stride, padding=p.layer.padding)
    return [y.detach(), *torch.autograd.grad(y, [W, x] if feedback else [W], error)]


def check(form: Form, p: Problem, same: Callable[[Tensor, Tensor], None]) -> None:
    found = form.split(form.run())
    assert len(found) == p.count == 3
    for replica, products in enumerate(found):
        expected = by_the_engine(p, replica)
        assert len(products) == len(expected) == (3 if p.feedback else 2)
        for ours, theirs in zip(products, expected, strict=True):
            assert ours.shape == theirs.shape
            same(ours, theirs)


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@BY_NAME
def test_the_reference_is_what_the_engine_computes(place: Place) -> None:
    p = small(place)
    check(
        forms_of(place.layer)[REFERENCE](p),
        p,
        lambda ours, theirs: torch.testing.assert_close(ours, theirs, rtol=0, atol=0),
    )


@EACH_FORM
def test_every_form_equals_the_engine(place: Place, name: str) -> None:
    p = small(place)
    check(forms_of(place.layer)[name](p), p, close)


@BY_NAME
def test_replicas_differ(place: Place) -> None:
    """Else a form that mixed replicas up would pass."""
    first, *others = (by_the_engine(small(place), replica) for replica in range(3))
    for other in others:
        assert not any(torch.allclose(a, b) for a, b in zip(first, other, strict=True))


def test_every_weighted_layer_of_table_1_is_compared() -> None:
    found = places()
    assert len(found) == 4 + 5 + 4 + 5 + 3
    assert [place.name for place in found if place.first] == [
        "mnist 1: Conv 5x5x20/1",
        "cifar 1: Conv 5x5x32/1 pad 2",
        "svhn 1: Conv 5x5x20/1",
        "large 1: Conv 9x9x48/2",
        "timit 1: FC 512",
    ]
    assert all(
        layer.dilation == layer.groups == 1 for layer in (p.layer for p in found) if isinstance(layer, Conv)
    )
    p = problem(found[1], 2, CPU)  # the engine's layout: features last, without a copy
    for tensor in (p.x[0], p.weights[0], p.feedback[0], p.errors[0]):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert [tuple(t.shape) for t in p.arguments(0)] == [
        (100, 20, 12, 12),
        (50, 20, 5, 5),
        (100, 50, 8, 8),
        (50, 20, 5, 5),
    ]


def test_forms_are_ratios_to_the_reference() -> None:
    conv, fc = compare("cpu", replicas=2, rounds=1, seconds=0, layers=[SMALL[1], SMALL[5]])
    assert [m.name for m in conv.measures] == list(forms_of(SMALL[1].layer))
    assert [m.name for m in fc.measures] == [REFERENCE, "bmm"]
    assert conv.measures[0].ratio == 1
    assert all(m.seconds > 0 for m in (*conv.measures, *fc.measures))
    assert conv.skipped == fc.skipped == {forms.BRANCHES: "only CUDA has graphs, this is cpu"}


def test_a_form_without_room_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    unfold = "unfold, bmm, fold"
    large = next(place for place in places() if place.name.startswith("large 3"))
    assert forms._bytes(large, unfold, 5) > 5 * 2 * 4 * 100 * 24 * 24 * 5 * 5 * 48 > forms._CPU_BYTES
    assert forms._bytes(large, REFERENCE, 5) < forms._CPU_BYTES
    monkeypatch.setattr(forms, "_CPU_BYTES", forms._bytes(SMALL[0], REFERENCE, 2))
    (found,) = compare("cpu", replicas=2, rounds=1, seconds=0, layers=SMALL[:1])
    assert unfold not in [m.name for m in found.measures]
    assert "GiB of memory, more than the" in found.skipped[unfold]
    monkeypatch.setattr(forms, "_CPU_BYTES", 1)
    (nothing,) = compare("cpu", replicas=2, rounds=1, seconds=0, layers=SMALL[:1])
    assert not nothing.measures
    assert {REFERENCE, unfold} < set(nothing.skipped)


def test_a_form_that_is_too_slow_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "_first_call", lambda run, device: 3.0)
    (found,) = compare("cpu", replicas=2, rounds=1, seconds=0, layers=SMALL[5:6])
    assert [m.name for m in found.measures] == [REFERENCE]  # the reference is measured in any case
    assert found.skipped["bmm"] == "a call takes longer than 2 s"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: there is no CUDA device")
@BY_NAME
def test_every_form_on_cuda_equals_the_engine_there(place: Place) -> None:
    device = torch.device("cuda")
    makers = forms_on(device, place.layer)
    assert {forms.BRANCHES, forms.IN_A_GRAPH, *forms_of(place.layer)} == set(makers)
    p = small(place, device)
    for make in makers.values():
        check(make(p), p, close)
    (found,) = compare("cuda", replicas=2, rounds=1, seconds=0, layers=[place])
    assert [m.name for m in found.measures] == list(makers)
