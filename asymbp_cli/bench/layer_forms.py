"""The forms in which a layer of R replicas can be computed: one after the other as in the engine, or all at once.

A form computes what a training step needs of a layer: the output, the gradient of the weights and, except in a
first layer, the gradient of the input through V. Every form gets its inputs in its preferred layout before the
clock starts, and leaves its results in it. Conversions between forms do not count, which favours batched ones.
Biases, pooling, normalization and autograd's own work are the same in all forms and left out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from asymbp_cli.bench.layer_cases import LayerCase
from asymbp_cli.specs.layers import FC, Conv
from asymbp_cli.training.cuda_graphs import PLAIN_CALLS, CudaGraphs, SideStreams

#: names of forms
REFERENCE = "one after the other"
IN_A_GRAPH = "the same, captured"
BRANCHES = "the same, captured as branches"
UNFOLD = "unfold, bmm, fold"

#: output, gradient of the weights and, except in a first layer, of the input
Products = tuple[Tensor, ...]
#: one Products per replica, in PyTorch's shapes
Results = list[Products]


@dataclass(frozen=True)
class Form:
    """A way to compute a layer: `run` is timed; `split` brings its result into PyTorch's shapes."""

    run: Callable[[], Any]
    split: Callable[[Any], Results]


MakeForm = Callable[[LayerCase], Form]


def make_sequential(case: LayerCase) -> Form:
    """One replica after the other, each as layers.py computes it."""
    single = _single(case.layer)
    arguments = [case.arguments(replica) for replica in range(case.count)]
    return Form(lambda: [single(*own) for own in arguments], lambda results: results)


def make_branches(case: LayerCase) -> Form:
    """Each replica in a branch of its own as in the engine: once captured, a branch of the graph."""
    single = _single(case.layer)
    arguments = [case.arguments(replica) for replica in range(case.count)]
    side = SideStreams(case.x[0].device, case.count)

    def run() -> Results:
        results = []
        for replica, own in enumerate(arguments):
            with side.branch(replica):
                results.append(single(*own))
        side.join()
        return results

    return Form(run, lambda results: results)


def make_grouped(case: LayerCase, memory_format: torch.memory_format) -> Form:
    """One convolution with a group per replica, over [B, R * C, H, W']."""

    def join(tensors: list[Tensor], has_samples: bool) -> Tensor:
        return torch.cat(tensors, _replica_dim(has_samples)).contiguous(memory_format=memory_format)

    arguments, dims = case.join(join), (1, 0, 1)

    def split(products: Products) -> Results:
        chunks = (product.chunk(case.count, dim) for product, dim in zip(products, dims, strict=False))
        return list(zip(*chunks, strict=True))

    return Form(partial(_convolve, *arguments, layer=case.conv, groups=case.count), split)


def _replica_dim(has_samples: bool) -> int:
    """Return the dimension of the replicas: after the samples, if there are any."""
    return 1 if has_samples else 0


def make_vmapped(case: LayerCase) -> Form:
    """torch.vmap over the replicas, the dimension after the samples: [B, R, C, H, W']."""

    def join(tensors: list[Tensor], has_samples: bool) -> Tensor:
        return torch.stack(tensors, _replica_dim(has_samples)).contiguous()

    arguments = case.join(join)
    in_dims, out_dims = (1, 0, 1, 0)[: len(arguments)], (1, 0, 1)[: len(arguments) - 1]
    mapped = torch.vmap(partial(_convolve, layer=case.conv), in_dims, out_dims)

    def split(products: Products) -> Results:
        replicas = (product.unbind(dim) for product, dim in zip(products, out_dims, strict=True))
        return list(zip(*replicas, strict=True))

    return Form(lambda: mapped(*arguments), split)


def make_unfolded(case: LayerCase) -> Form:
    """Unfold the inputs to [R, B * H' * W'', kh * kw * C], multiply batches of matrices, fold the gradient."""
    x, weights, errors, *feedback = case.join(lambda t, _: torch.stack(t).permute(0, 1, 3, 4, 2).contiguous())
    x_shape, weight_shape, y_shape = x.shape, weights.shape, errors.shape
    weights, errors = weights.flatten(2), errors.flatten(1, 3)
    v = feedback[0].flatten(2) if feedback else None

    def run() -> Products:
        columns = _unfold(x, case.conv)
        y, grad_w = torch.bmm(columns, weights.mT), torch.bmm(errors.mT, columns)
        if v is None:
            return y, grad_w
        return y, grad_w, _fold(torch.bmm(errors, v).view(*y_shape[:4], *weight_shape[2:]), x_shape, case.conv)

    def split(products: Products) -> Results:
        shapes = (y_shape, weight_shape, x_shape)
        replicas = (
            product.view(shape).permute(0, 1, 4, 2, 3) for product, shape in zip(products, shapes, strict=False)
        )
        return list(zip(*replicas, strict=True))

    return Form(run, split)


def make_batched(case: LayerCase) -> Form:
    """An FC layer as batches of matrices: x [R, B, I], W and V [R, O, I], errors [R, B, O]."""
    x, weights, errors, *feedback = case.join(lambda tensors, _: torch.stack(tensors))

    def run() -> Products:
        y, grad_w = torch.bmm(x, weights.mT), torch.bmm(errors.mT, x)
        return (y, grad_w, torch.bmm(errors, feedback[0])) if feedback else (y, grad_w)

    return Form(run, lambda products: list(zip(*products, strict=True)))


_CONV_FORMS: Mapping[str, MakeForm] = {
    REFERENCE: make_sequential,
    "grouped convolution": partial(make_grouped, memory_format=torch.contiguous_format),
    "grouped, channels_last": partial(make_grouped, memory_format=torch.channels_last),
    UNFOLD: make_unfolded,
    "vmap": make_vmapped,
}
_FC_FORMS: Mapping[str, MakeForm] = {REFERENCE: make_sequential, "bmm": make_batched}


def list_forms(layer: Conv | FC) -> Mapping[str, MakeForm]:
    """Return the forms of a layer that every device has; the first one is the reference."""
    return _FC_FORMS if isinstance(layer, FC) else _CONV_FORMS


def list_forms_on(device: torch.device, layer: Conv | FC) -> Mapping[str, MakeForm]:
    """Return the forms of a layer on a device, the engine's first.

    On CUDA each is captured into a graph, except for one that shows how much capturing saves.
    """
    forms = list_forms(layer)
    if device.type != "cuda":
        return forms
    on_cuda: dict[str, MakeForm] = {
        BRANCHES: partial(_capture, make_branches),
        IN_A_GRAPH: partial(_capture, make_sequential),
    }
    for name, make in forms.items():
        if name != REFERENCE:
            on_cuda[name] = partial(_capture, make)
    on_cuda[REFERENCE] = forms[REFERENCE]
    return on_cuda


def _capture(make: MakeForm, case: LayerCase) -> Form:
    """Return a form whose run replays one graph, which overwrites its previous result."""
    form, results, graphs = make(case), list[Any](), CudaGraphs(case.x[0].device, ())
    for _ in range(PLAIN_CALLS):
        graphs.run(form.run)
    replay = graphs.capture(lambda: results.append(form.run()))

    def run() -> Any:
        replay()
        return results[0]

    return Form(run, form.split)


def _single(layer: Conv | FC) -> Callable[..., Products]:
    return _multiply if isinstance(layer, FC) else partial(_convolve, layer=layer)


def _multiply(x: Tensor, w: Tensor, error: Tensor, v: Tensor | None = None) -> Products:
    y, grad_w = F.linear(x, w), error.T @ x
    return (y, grad_w) if v is None else (y, grad_w, error @ v)


def _convolve(
    x: Tensor, w: Tensor, error: Tensor, v: Tensor | None = None, *, layer: Conv, groups: int = 1
) -> Products:
    settings = ([layer.stride] * 2, [layer.padding] * 2, [1, 1], False, [0, 0], groups)

    def gradients(weight: Tensor, mask: list[bool]) -> Sequence[Tensor]:
        """Return the gradients of x and of the weights, as far as `mask` asks for them."""
        x_and_weights: Sequence[Tensor] = torch.ops.aten.convolution_backward(
            error, x, weight, None, *settings, mask
        )
        return x_and_weights

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
    """Return [R, B, H, W', C]: for each pixel the sum over its windows, of [R, B, H', W'', kh, kw, C]."""
    p, s = layer.padding, layer.stride
    height, width = windows.shape[2:4]
    sums = windows.new_zeros(*shape[:2], shape[2] + 2 * p, shape[3] + 2 * p, shape[4])
    for i in range(layer.kernel[0]):
        for j in range(layer.kernel[1]):
            sums[:, :, i : i + s * height : s, j : j + s * width : s] += windows[:, :, :, :, i, j]
    return sums[:, :, p : p + shape[2], p : p + shape[3]]
