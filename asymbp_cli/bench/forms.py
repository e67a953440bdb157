"""How a layer of R replicas can be computed: one after the other as the engine does, or all at once.

A form does what a training step needs of a layer: the output, the gradient of the weights and, but in a first
layer, the gradient of the input through V. Every form finds its inputs laid out as it likes them best, before the
clock starts, and leaves its results so: conversions between forms count as nothing, which favours batched ones.
Biases, pooling, normalization and autograd's own work are the same in all forms and left out.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.bench.measure import Measure, interleaved
from asymbp_cli.bench.places import BATCH, Place, Problem, places, problem
from asymbp_cli.bench.steps import lasting, wait
from asymbp_cli.specs.layers import FC, Conv
from asymbp_cli.training.cuda_graphs import PLAIN_CALLS, CudaGraphs, SideStreams
from asymbp_cli.training.device import open_device, set_precision, threads

REFERENCE = "one after the other"
IN_A_GRAPH = "the same, captured"
BRANCHES = "the same, captured as branches"
_GIB = 1 << 30
_CPU_BYTES = 2 * _GIB  # of a form's tensors
_CUDA_SHARE = 7  # forms and inputs that lie there at once

#: output, gradient of the weights and, but in a first layer, of the input
Products = tuple[Tensor, ...]
#: one Products a replica, in PyTorch's shapes
Results = list[Products]


@dataclass(frozen=True)
class Form:
    """A way to compute a problem: `run` is timed; `split` brings what it returns into PyTorch's shapes."""

    run: Callable[[], Any]
    split: Callable[[Any], Results]


Make = Callable[[Problem], Form]


def in_turn(p: Problem) -> Form:
    """One replica after the other, each as layers.py computes it."""
    single = _single(p.layer)
    arguments = [p.arguments(replica) for replica in range(p.count)]
    return Form(lambda: [single(*of_one) for of_one in arguments], lambda found: found)


def branches(p: Problem) -> Form:
    """As `in_turn`, each replica in a branch as the engine's: of a graph once captured."""
    single = _single(p.layer)
    arguments = [p.arguments(replica) for replica in range(p.count)]
    side = SideStreams(p.x[0].device, p.count)

    def run() -> Results:
        found = []
        for replica, of_one in enumerate(arguments):
            with side.branch(replica):
                found.append(single(*of_one))
        side.join()
        return found

    return Form(run, lambda found: found)


def grouped(p: Problem, memory_format: torch.memory_format) -> Form:
    """One convolution with a group per replica, over [B, R * C, H, W']."""

    def join(tensors: list[Tensor], of_samples: bool) -> Tensor:
        return torch.cat(tensors, int(of_samples)).contiguous(memory_format=memory_format)

    arguments, dims = p.joined(join), (1, 0, 1)

    def split(found: Products) -> Results:
        parts = (part.chunk(p.count, dim) for part, dim in zip(found, dims, strict=False))
        return list(zip(*parts, strict=True))

    return Form(partial(_convolve, *arguments, layer=p.conv, groups=p.count), split)


def vmapped(p: Problem) -> Form:
    """torch.vmap over the replicas, which stand behind the samples: [B, R, C, H, W']."""
    arguments = p.joined(lambda tensors, of_samples: torch.stack(tensors, int(of_samples)).contiguous())
    dims = (1, 0, 1)[: len(arguments) - 1]
    mapped = torch.vmap(partial(_convolve, layer=p.conv), (1, 0, 1, 0)[: len(arguments)], dims)

    def split(found: Products) -> Results:
        return list(zip(*(part.unbind(dim) for part, dim in zip(found, dims, strict=True)), strict=True))

    return Form(lambda: mapped(*arguments), split)


def unfolded(p: Problem) -> Form:
    """Unfold the inputs to [R, B * H' * W'', kh * kw * C], multiply batches of matrices, fold the gradient."""
    x, weights, errors, *feedback = p.joined(lambda t, _: torch.stack(t).permute(0, 1, 3, 4, 2).contiguous())
    x_shape, weight_shape, y_shape = x.shape, weights.shape, errors.shape
    weights, errors = weights.flatten(2), errors.flatten(1, 3)
    v = feedback[0].flatten(2) if feedback else None

    def run() -> Products:
        columns = _unfold(x, p.conv)
        y, grad_w = torch.bmm(columns, weights.mT), torch.bmm(errors.mT, columns)
        if v is None:
            return y, grad_w
        return y, grad_w, _fold(torch.bmm(errors, v).view(*y_shape[:4], *weight_shape[2:]), x_shape, p.conv)

    def split(found: Products) -> Results:
        shapes = (y_shape, weight_shape, x_shape)
        parts = (part.view(shape).permute(0, 1, 4, 2, 3) for part, shape in zip(found, shapes, strict=False))
        return list(zip(*parts, strict=True))

    return Form(run, split)


def batched(p: Problem) -> Form:
    """An FC layer as batches of matrices: x [R, B, I], W and V [R, O, I], errors [R, B, O]."""
    x, weights, errors, *feedback = p.joined(lambda tensors, _: torch.stack(tensors))

    def run() -> Products:
        found = torch.bmm(x, weights.mT), torch.bmm(errors.mT, x)
        return (*found, torch.bmm(errors, feedback[0])) if feedback else found

    return Form(run, lambda found: list(zip(*found, strict=True)))


_UNFOLD = "unfold, bmm, fold"
_CONV_FORMS: Mapping[str, Make] = {
    "grouped convolution": partial(grouped, memory_format=torch.contiguous_format),
    "grouped, channels_last": partial(grouped, memory_format=torch.channels_last),
    _UNFOLD: unfolded,
    "vmap": vmapped,
}
_FC_FORMS: Mapping[str, Make] = {"bmm": batched}


def forms_of(layer: Conv | FC) -> dict[str, Make]:
    """Return the forms that a layer can be computed in on any device; the first is the reference."""
    found: dict[str, Make] = {REFERENCE: in_turn}
    return found | dict(_FC_FORMS if isinstance(layer, FC) else _CONV_FORMS)


def forms_on(device: torch.device, layer: Conv | FC) -> dict[str, Make]:
    """Return the forms of a layer on a device, the engine's first.

    On CUDA they are captured into a graph each, but for one that shows what capturing saves.
    """
    found = forms_of(layer)
    if device.type != "cuda":
        return found
    more: dict[str, Make] = {BRANCHES: branches, IN_A_GRAPH: in_turn} | {
        name: found[name] for name in found if name != REFERENCE
    }
    captured: dict[str, Make] = {name: partial(_captured, make) for name, make in more.items()}
    return captured | {REFERENCE: found[REFERENCE]}


def _captured(make: Make, p: Problem) -> Form:
    """Return a form whose run replays one graph and overwrites what it returned before."""
    form, found, graphs = make(p), list[Any](), CudaGraphs(p.x[0].device, ())
    for _ in range(PLAIN_CALLS):
        graphs.run(form.run)
    replay = graphs.capture(lambda: found.append(form.run()))

    def run() -> Any:
        replay()
        return found[0]

    return Form(run, form.split)


def _single(layer: Conv | FC) -> Callable[..., Products]:
    return _multiply if isinstance(layer, FC) else partial(_convolve, layer=layer)


def _multiply(x: Tensor, w: Tensor, error: Tensor, v: Tensor | None = None) -> Products:
    found = F.linear(x, w), error.T @ x
    return found if v is None else (*found, error @ v)


def _convolve(
    x: Tensor, w: Tensor, error: Tensor, v: Tensor | None = None, *, layer: Conv, groups: int = 1
) -> Products:
    pair = ([layer.stride] * 2, [layer.padding] * 2, [1, 1], False, [0, 0], groups)

    def gradients(weight: Tensor, mask: list[bool]) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(error, x, weight, None, *pair, mask)
        return found

    y = F.conv2d(x, w, None, layer.stride, layer.padding, 1, groups)
    grad_w = gradients(w, [False, True, False])[1]
    return (y, grad_w) if v is None else (y, grad_w, gradients(v, [True, False, False])[0])


def _unfold(x: Tensor, layer: Conv) -> Tensor:
    """Return [R, B * H' * W'', kh * kw * C] of x [R, B, H, W', C]."""
    x = F.pad(x, (0, 0, *[layer.padding] * 4)) if layer.padding else x
    windows = x.unfold(2, layer.kernel[0], layer.stride).unfold(3, layer.kernel[1], layer.stride)
    count = prod(windows.shape[1:4])
    return windows.permute(0, 1, 2, 3, 5, 6, 4).reshape(len(x), count, -1)


def _fold(windows: Tensor, shape: torch.Size, layer: Conv) -> Tensor:
    """Return the sums [R, B, H, W', C] of the windows [R, B, H', W'', kh, kw, C] that each place lies in."""
    p, s = layer.padding, layer.stride
    height, width = windows.shape[2:4]
    found = windows.new_zeros(*shape[:2], shape[2] + 2 * p, shape[3] + 2 * p, shape[4])
    for i in range(layer.kernel[0]):
        for j in range(layer.kernel[1]):
            found[:, :, i : i + s * height : s, j : j + s * width : s] += windows[:, :, :, :, i, j]
    return found[:, :, p : p + shape[2], p : p + shape[3]]


@dataclass(frozen=True)
class Comparison:
    """A layer's forms, measured per replica over the reference; and why others were not: form -> reason."""

    layer: str
    measures: list[Measure]
    skipped: dict[str, str]


def compare(
    device_name: str,
    *,
    replicas: int,
    rounds: int,
    seconds: float = 0.05,
    slowest: float = 2.0,
    layers: Sequence[Place] | None = None,
) -> Iterator[Comparison]:
    """Yield the forms of every layer of Table 1 (or of `layers`), at batch 100; on the CPU on one thread.

    A form that takes more than 2 GiB (on CUDA, than a seventh of what is free) is left out, and one whose first
    call takes longer than `slowest` seconds. About `seconds` a form and round. Raises DeviceError.
    """
    device = open_device(device_name)
    set_precision(device, "standard")
    with threads(1), _on(device):
        for place in places() if layers is None else layers:
            yield _compare(place, device, replicas, rounds, seconds, slowest)


def _compare(
    place: Place, device: torch.device, replicas: int, rounds: int, seconds: float, slowest: float
) -> Comparison:
    room, makers = _room(device), forms_on(device, place.layer)
    needs = {name: _bytes(place, name, replicas) for name in makers}
    skipped = {
        name: f"needs {need / _GIB:.1f} GiB of memory, more than the {room / _GIB:.1f} GiB that a form may take"
        for name, need in needs.items()
        if need > room
    }
    if device.type != "cuda":
        skipped[BRANCHES] = f"only CUDA has graphs, this is {device.type}"
    if next(iter(makers)) in skipped:
        return Comparison(place.name, [], skipped)
    given = problem(place, replicas, device)
    candidates: dict[str, Callable[[], float]] = {}
    for name, make in makers.items():
        if name in skipped:
            continue
        run = make(given).run
        took = _first_call(run, device)
        if took > slowest and candidates:
            skipped[name] = f"a call takes longer than {slowest:g} s"
        else:
            candidates[name] = _timed(run, device, replicas, seconds)
    return Comparison(place.name, interleaved(candidates, rounds), skipped)


def _first_call(run: Callable[[], Any], device: torch.device) -> float:
    """Return the seconds of a call that chooses algorithms and gets memory."""
    began = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - began


def _timed(run: Callable[[], Any], device: torch.device, replicas: int, seconds: float) -> Callable[[], float]:
    """Return a function that measures the seconds of a replica's share of `run`."""

    def measure(count: int) -> float:
        wait(device)
        began = time.perf_counter()
        for _ in range(count):
            run()
        wait(device)
        return (time.perf_counter() - began) / count / replicas

    return lasting(measure, replicas, seconds)


def _bytes(place: Place, form: str, replicas: int) -> int:
    """Return what a form's inputs and results take, and unfolded inputs and gradients where it has them."""
    after, weights = place.layer.output(place.shape), prod(place.layer.weight_shape(place.shape))
    numbers = 2 * BATCH * (prod(place.shape) + prod(after)) + 3 * weights
    if form == _UNFOLD:
        numbers += (1 if place.first else 2) * BATCH * prod(after[:2]) * (weights // place.layer.features)
    return replicas * numbers * 4


def _room(device: torch.device) -> int:
    """Return the bytes that the tensors of a form may take."""
    if device.type != "cuda":
        return _CPU_BYTES
    torch.cuda.empty_cache()  # graphs of the layer before
    return int(torch.cuda.mem_get_info(device)[0]) // _CUDA_SHARE


def _on(device: torch.device) -> AbstractContextManager[object]:
    """Make a CUDA device the current one, where graphs are captured."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
