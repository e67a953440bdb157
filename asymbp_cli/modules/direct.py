"""Direct routes: what the output of a converted module sends straight to the inputs of its layers.

During a forward pass each layer notes its input and continues with a copy that is cut off: no error passes from
it to what is below. The module's output then goes through a function. In the backward pass it gives each noted
input the signal times its V. All of this is one ordinary graph of autograd.
"""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from asymbp_cli.errors import UsageError
from asymbp_cli.modules.functions import refuse_second_derivatives
from asymbp_cli.specs.schemes import Route
from asymbp_cli.text import count

if TYPE_CHECKING:
    from asymbp_cli.modules.layers import Asymmetric


class _Send(Function):
    @staticmethod
    def forward(
        ctx: Any, output: Tensor, signal: Tensor | None, sign_size: float | None, count: int, *pairs: Tensor
    ) -> Tensor:
        inputs, weights = pairs[:count], pairs[count:]
        ctx.learns = any(V.requires_grad for V in weights)
        ctx.shapes = [(x.shape, x.dtype) for x in inputs]
        ctx.save_for_backward(*weights, *([*inputs] if ctx.learns else []))
        ctx.signal, ctx.sign_size = signal, sign_size
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives()
        count, saved = len(ctx.shapes), ctx.saved_tensors  # read once: checkpointing hands them out once
        weights, inputs = saved[:count], saved[count:]
        sent = error.flatten(1)
        if ctx.signal is not None:
            sent = ctx.signal
        elif ctx.sign_size is not None:
            sent = torch.sign(sent) * ctx.sign_size
        errors: list[Tensor | None] = [
            (sent.to(V.dtype) @ V).view(shape).to(dtype) if needed else None
            for V, (shape, dtype), needed in zip(weights, ctx.shapes, ctx.needs_input_grad[4:], strict=False)
        ]
        gradients: list[Tensor | None] = [None] * count
        if ctx.learns:
            gradients = [
                sent.to(V.dtype).t() @ x.flatten(1).to(V.dtype) for V, x in zip(weights, inputs, strict=True)
            ]
        return error, None, None, None, *errors, *gradients


class Sender:
    """Joins the layers of a converted module with its output. It belongs to one module, and is copied with it."""

    def __init__(self, route: Route, *, mean: bool) -> None:
        self.route, self.mean = route, mean
        self.targets: Tensor | None = None
        self._is_open = False
        self._noted: list[tuple[Asymmetric, Tensor]] = []

    def join(self, module: nn.Module) -> None:
        """Begin with each forward pass of `module`, and end with it."""
        module.register_forward_pre_hook(self.begin)
        module.register_forward_hook(self.end, always_call=True)

    def begin(self, module: nn.Module, arguments: Any) -> None:
        """Begin a forward pass."""
        if getattr(module, "_is_replica", False):
            raise UsageError("Direct feedback does not work in DataParallel. Use DistributedDataParallel")
        self._noted = []
        self._is_open = torch.is_grad_enabled()

    def cut(self, layer: "Asymmetric", x: Tensor) -> Tensor:
        """Note the input of a layer, and return it cut off from what is below."""
        if not self._is_open:
            raise UsageError(
                "Direct feedback comes from the output of the converted module, but one of its layers was called "
                "outside of it. Call the whole module, without checkpointing, or convert another part of it"
            )
        V = layer.feedback_weight
        if V.shape[1] != x[0].numel():
            raise UsageError(
                f"The input of a layer has {x[0].numel()} numbers per sample, {tuple(x.shape[1:])}, but its V was "
                f"made for {V.shape[1]}. Direct feedback needs inputs of the size of convert's example_input"
            )
        self._noted.append((layer, x))
        return x.detach()

    def end(self, module: nn.Module, arguments: Any, output: Any) -> Any:
        """Return the output of a forward pass, whose error will reach the layers; None if the pass has raised."""
        noted, self._noted = self._noted, []
        targets, self.targets = self.targets, None  # they serve for one pass, whatever becomes of it
        is_open, self._is_open = self._is_open, False
        if output is None or not is_open or not noted:
            return output
        check_output(output)
        for _, x in noted:
            if len(x) != len(output):
                raise UsageError(
                    f"A layer's input has {len(x)} and the output {count(len(output), 'sample')}: with direct "
                    "feedback the first dimension of both must be the batch"
                )
        signal = self._read_targets(output, targets) if self.route == "direct-target" else None
        size = (1 / len(output) if self.mean else 1.0) if self.route == "direct-sign" else None
        inputs, weights = [x for _, x in noted], [layer.feedback_weight for layer, _ in noted]
        return _Send.apply(output, signal, size, len(noted), *inputs, *weights)

    def _read_targets(self, output: Tensor, targets: Tensor | None) -> Tensor:
        """Return the signal of the targets [B, classes]."""
        if targets is None:
            raise UsageError(
                "DRTP sends the targets: call asymbp.set_targets(module, y) before each forward pass, of which "
                "checkpointing makes two, so that DRTP works without it alone"
            )
        classes = output[0].numel()
        signal = F.one_hot(targets, classes) if targets.ndim == 1 and classes > 1 else targets.flatten(1)
        if signal.shape != (len(output), classes):
            raise UsageError(
                f"The targets have the shape {tuple(targets.shape)}; an output of {tuple(output.shape)} needs "
                f"{len(output)} class numbers, or {len(output)} x {classes} numbers"
            )
        return signal.to(output.dtype) / (len(output) if self.mean else 1)


def check_output(output: Any) -> None:
    """Raise UsageError if an output is no tensor with samples in its first dimension."""
    if not isinstance(output, Tensor) or output.ndim < 2:
        raise UsageError(
            "With direct feedback the output of the module must be one tensor, samples x classes. Convert a part "
            "of the module that returns such a tensor"
        )
