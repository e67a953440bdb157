"""Layers of torch whose backward pass takes V for W. Parameters, names and results are those of torch's own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymbp_cli.modules import functions
from asymbp_cli.modules.direct import Sender
from asymbp_cli.modules.functions import Geometry, Learn
from asymbp_cli.modules.rules import Exact, Rule

_COUNTER = "feedback_counter"
_SCHEME = "feedback_scheme"


@contextmanager
def watching(module: nn.Module, watchers: Iterable[tuple[nn.Module, Callable[[Tensor], None]]]) -> Iterator[None]:
    """Evaluate a module meanwhile, with a function that sees the inputs of each of these layers.

    Afterwards its parts are in training or evaluation mode as before.
    """
    hooks = [
        layer.register_forward_pre_hook(partial(_show_input, watch), with_kwargs=True) for layer, watch in watchers
    ]
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for part, training in modes.items():
            part.training = training


def _show_input(
    watch: Callable[[Tensor], None], layer: nn.Module, received: tuple[Tensor, ...], named: dict[str, Tensor]
) -> None:
    watch(received[0] if received else named["input"])


class Asymmetric(nn.Module):
    """A weighted layer with feedback weights V. `convert` makes it, and gives it its rule.

    Built by hand it has no rule: V is W, and it trains by exact backpropagation. `print` shows scheme or `V = W`.

    By its rule it has some of these tensors: `feedback_weight` is V, `feedback_factor` a factor of it,
    `feedback_square` what spreads the gradient of W to that of V, `feedback_counter` the count of random draws.
    """

    weight: Tensor
    feedback_weight: Tensor
    feedback_factor: Tensor
    feedback_square: Tensor
    feedback_counter: Tensor  # no buffer: it stays on the CPU, where a GPU need not be waited for
    rule: Rule = Exact()
    scheme = "BP"  # the name of what the rule was built of
    sender: Sender | None = None  # of direct routes

    @property
    def goes_back_as_torch(self) -> bool:
        """Return whether there is no way back, or one through W."""
        return self.rule.is_exact or not torch.is_grad_enabled()

    def fans(self) -> tuple[int, int]:
        """Return fan in and fan out, as initializations count them."""
        raise NotImplementedError

    def batch(self, x: Tensor) -> Tensor:
        """Return an input of the layer with a dimension of samples, as `multiply` and `correlate` take it."""
        return x

    def to_rows(self, values: Tensor) -> Tensor:
        """Return something of W's shape as a matrix with a row for each output."""
        return values.flatten(1)

    def from_rows(self, rows: Tensor) -> Tensor:
        """Return the inverse of `to_rows`."""
        return rows.view(self.weight.shape)

    def multiply(self, x: Tensor) -> Tensor:
        """Return the layer's output, as torch computes it."""
        raise NotImplementedError

    def correlate(self, x: Tensor, error: Tensor) -> Tensor:
        """Return the gradient of W, for an input and the error of the output."""
        raise NotImplementedError

    def open_feedback(self, x: Tensor) -> tuple[Tensor, Tensor, Learn | None]:
        """Return the input, cut off from what is below if V comes from the output; V; and how V learns."""
        if self.sender is not None:
            return self.sender.cut(self, x), self.weight.detach(), None
        if self.training:
            self.rule.begin(self, x)
        return x, self.rule.value(self), self.rule.learn(self)

    def extra_repr(self) -> str:
        """Describe the layer for `print`: as torch does, with its scheme."""
        return f"{super().extra_repr()}, {'V = W' if self.rule.is_exact else self.scheme}"

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not self.rule.is_exact:  # beside the versions of torch's modules, since a plain module loads this too
            destination._metadata.setdefault(prefix[:-1], {})[_SCHEME] = self.scheme
        if hasattr(self, _COUNTER):
            destination[prefix + _COUNTER] = self.feedback_counter

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, metadata: Mapping[str, Any], strict: bool,
        missing: list[str], unexpected: list[str], errors: list[str],
    ) -> None:  # fmt: skip
        """Load; without any tensor of feedback it is the state of a layer of torch, and V stays as it is.

        The state of another scheme is an error. Its name is lost if the state was copied into a plain `dict`.
        """
        name, has_feedback = prefix + _COUNTER, any(key.startswith(prefix + "feedback_") for key in state_dict)
        if hasattr(self, _COUNTER):
            if name in state_dict:
                self.feedback_counter.copy_(state_dict.pop(name))
            elif has_feedback:
                missing.append(name)
        if (scheme := metadata.get(_SCHEME, self.scheme)) != self.scheme:
            errors.append(f'{prefix[:-1]}: the state is that of "{scheme}", and this layer has "{self.scheme}"')
        known = len(missing)
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, unexpected, errors)
        if not has_feedback:
            missing[known:] = [key for key in missing[known:] if not key.startswith(prefix + "feedback_")]


class AsymmetricLinear(Asymmetric, nn.Linear):
    """`nn.Linear` whose input gets its error through V. Built by hand its V is W."""

    def fans(self) -> tuple[int, int]:
        """Return the inputs that an output sums over, and the outputs that an input goes to."""
        return self.in_features, self.out_features

    def multiply(self, x: Tensor) -> Tensor:
        """Return the layer's output, as torch computes it."""
        return F.linear(x, self.weight, self.bias)

    def correlate(self, x: Tensor, error: Tensor) -> Tensor:
        """Return the gradient of W, for an input and the error of the output."""
        return error.reshape(-1, self.out_features).t() @ x.reshape(-1, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        """Compute W x + b, as `nn.Linear` does."""
        if self.goes_back_as_torch:
            return self.multiply(input)
        x, V, learn = self.open_feedback(input)
        return functions.linear(x, self.weight, V, self.bias, learn)


class _AsymmetricConvolution(Asymmetric):
    """Convolutions of torch in any dimension, transposed or not, with all of their arguments."""

    dimensions: ClassVar[int]
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"]
    bias: Tensor | None

    def fans(self) -> tuple[int, int]:
        """Return fan in and fan out: the inputs that an output sums over, and all outputs times the field's area.

        Fan out counts the outputs of all groups, as torch's initializations do. An input goes to those of its own.
        """
        area = self.weight[0, 0].numel()
        return self.in_channels // self.groups * area, self.out_channels * area

    def batch(self, x: Tensor) -> Tensor:
        """Return an input of the layer with a dimension of samples, as `multiply` and `correlate` take it."""
        return x[None] if x.ndim == self.dimensions + 1 else x

    def _pad(self, x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """Return the input, padded if a convolution cannot do it, and the padding that the convolution does."""
        if self.padding_mode == "zeros" and not isinstance(self.padding, str):
            return x, self.padding
        none = (0,) * self.dimensions
        if self.padding == "valid":
            return x, none
        totals = [
            d * (k - 1) if isinstance(self.padding, str) else 2 * self.padding[i]
            for i, (d, k) in enumerate(zip(self.dilation, self.kernel_size, strict=True))
        ]
        if self.padding_mode == "zeros" and all(total % 2 == 0 for total in totals):
            return x, tuple(total // 2 for total in totals)
        sides = [side for total in reversed(totals) for side in (total // 2, total - total // 2)]
        return F.pad(x, sides, "constant" if self.padding_mode == "zeros" else self.padding_mode), none

    def _prepare(self, x: Tensor) -> tuple[Tensor, Geometry]:
        x, padding = self._pad(x)
        none = (0,) * self.dimensions
        return x, Geometry(self.stride, padding, self.dilation, False, none, self.groups)

    def multiply(self, x: Tensor) -> Tensor:
        """Return the layer's output, as torch computes it, for a batch."""
        x, geometry = self._prepare(x)
        return torch.convolution(x, self.weight, self.bias, *geometry)

    def correlate(self, x: Tensor, error: Tensor) -> Tensor:
        """Return the gradient of W, for a batch of inputs and the errors of the outputs."""
        x, geometry = self._prepare(x)
        found: Tensor = torch.ops.aten.convolution_backward(
            error, x, self.weight, None, *geometry, [False, True, False]
        )[1]
        return found

    def _convolve(self, input: Tensor, geometry: Geometry | None = None) -> Tensor:
        """Return the convolution of a batch, or of one sample; `geometry` is given if it is transposed."""
        if input.ndim == self.dimensions + 1:
            return self._convolve(input[None], geometry)[0]
        x, V, learn = self.open_feedback(input)
        if geometry is None:
            x, geometry = self._prepare(x)
        return functions.convolution(x, self.weight, V, self.bias, geometry, learn)


class _AsymmetricConv(_AsymmetricConvolution):
    def forward(self, input: Tensor) -> Tensor:
        """Convolve as torch does."""
        return super().forward(input) if self.goes_back_as_torch else self._convolve(input)


class AsymmetricConv1d(_AsymmetricConv, nn.Conv1d):
    """`nn.Conv1d` whose input gets its error through V. Built by hand its V is W."""

    dimensions = 1


class AsymmetricConv2d(_AsymmetricConv, nn.Conv2d):
    """`nn.Conv2d` whose input gets its error through V. Built by hand its V is W."""

    dimensions = 2


class AsymmetricConv3d(_AsymmetricConv, nn.Conv3d):
    """`nn.Conv3d` whose input gets its error through V. Built by hand its V is W."""

    dimensions = 3
