"""A training in plain PyTorch, the oracle of whole trainings: float64, autograd, torch.optim, loops."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.training.draws import generator
from asymbp_cli.training.engine import Trainer

Weights = dict[str, Tensor]


class _Product(torch.autograd.Function):
    """The product of a layer with W, whose error goes back through V."""

    @staticmethod
    def forward(ctx: Any, product: Callable[..., Tensor], x: Tensor, w: Tensor, v: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, w, v)
        ctx.product = product
        return product(x, w)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> Any:  # type: ignore[override]
        x, w, v = (tensor.detach().requires_grad_() for tensor in ctx.saved_tensors)
        with torch.enable_grad():
            of_w = torch.autograd.grad(ctx.product(x, w), w, error)[0]
            of_x = torch.autograd.grad(ctx.product(x, v), x, error)[0]
        return None, of_x, of_w, None


@dataclass
class PlainTraining:
    """The tiny network (Conv 3x3x4, Max, FC 12, FC) of a run, from the weights with which a trainer begins.

    `compute_v` returns V of a layer from W; without it V is what the trainer begins with. `learns`: V gets the
    gradients of W (Kolen and Pollack 1994). `direct`: V carries the error of the output to the input of a layer.
    """

    trainer: Trainer
    compute_v: Callable[[str, Tensor], Tensor] | None = None
    learns: bool = False
    direct: bool = False
    adam: bool = False
    losses: list[float] = field(default_factory=list)  # the mean of each epoch

    def __post_init__(self) -> None:
        self.protocol: Protocol = self.trainer.protocol
        self.weights = {name: _double(w).requires_grad_() for name, w in self.trainer.bank.parameters(0).items()}
        self.weights = {name: w for name, w in self.weights.items() if not name.endswith("feedback")}
        self.v = {name: _double(v).requires_grad_() for name, v in self.trainer.bank.feedback(0).items()}
        numbers = sorted({int(name.split(".")[0]) for name in self.weights})
        train = self.trainer.stack.runs[0].method.train
        self._trained = [n for n in numbers if train == "all" or (n == numbers[-1]) == (train == "top")]
        self.optimizer = self._start()

    def _start(self) -> torch.optim.Optimizer:
        p = self.protocol
        kept = {name: w for name, w in self.weights.items() if int(name.split(".")[0]) in self._trained}
        bare = [w for name, w in kept.items() if not self._decays(name)]
        decayed = [w for name, w in kept.items() if self._decays(name)] + (list(self.v.values()) * self.learns)
        groups = [{"params": decayed, "decays": 1.0}, {"params": bare, "decays": 0.0}]
        if self.adam:
            return torch.optim.Adam(groups, betas=(p.momentum, p.adam_beta2), eps=p.adam_epsilon)
        return torch.optim.SGD(groups, momentum=p.momentum, nesterov=p.nesterov)

    def _decays(self, name: str) -> bool:
        kind = name.split(".")[1]
        return {"bias": self.protocol.decay_biases, "weight": True}.get(kind, self.protocol.decay_batch_norm)

    def train(self, epochs: Mapping[int, tuple[float, float]], resets: tuple[int, ...] = ()) -> None:
        """Train for `epochs`, each with its rate and decay; the optimizer starts anew in those of `resets`."""
        for epoch, (rate, decay) in epochs.items():
            self.optimizer = self._start() if epoch in resets else self.optimizer
            for group in self.optimizer.param_groups:
                group.update(lr=rate, weight_decay=decay * group["decays"])
            draws = generator(self.trainer.seed, "augmentation", epoch)
            losses = [self._step(index, draws) for index in self.trainer.batches(epoch)]
            self.losses.append(sum(losses) / len(self.trainer.data.train.y))

    def _step(self, index: Tensor, draws: torch.Generator) -> float:
        data, p = self.trainer.data, self.protocol
        images = self._augment(data.train.images(index), draws).double()
        x, y = ((images - data.mean) * data.inverse_std).permute(0, 3, 1, 2), data.train.y[index]
        with torch.no_grad():
            for name in self.v if self.compute_v else ():
                self.v[name] = self.compute_v(name, self.weights[name])
        logits, inputs = self._forward(x)
        target = F.one_hot(y, 10).double()
        loss = {
            "cross-entropy": lambda z: F.cross_entropy(z, y, reduction="sum"),
            "sigmoid-cross-entropy": lambda z: F.binary_cross_entropy_with_logits(z, target, reduction="sum"),
            "squared-error": lambda z: F.mse_loss(z, target, reduction="sum") / 2,
        }[p.loss](logits)
        self._differentiate(loss / (len(y) if p.gradient == "mean" else 1), logits, inputs)
        trained = [w for w in self.weights.values() if w.grad is not None]
        for name, w in self.weights.items():
            if name.endswith("bias") and w.grad is not None:
                w.grad *= p.bias_gradient
        if p.gradient_clip:
            nn.utils.clip_grad_norm_(trained, p.gradient_clip)
        if self.learns:
            for name, v in self.v.items():
                v.grad = self.weights[name].grad.clone()  # type: ignore[union-attr]
        self.optimizer.step()
        return loss.item()

    def _differentiate(self, loss: Tensor, logits: Tensor, inputs: Weights) -> None:
        kept = [w for name, w in self.weights.items() if int(name.split(".")[0]) in self._trained]
        ends, errors = [loss], [torch.ones_like(loss)]
        if self.direct:
            error = torch.autograd.grad(loss, logits, retain_graph=True)[0]
            ends += inputs.values()
            errors += [(error @ self.v[name].detach()).view_as(x) for name, x in inputs.items()]
        for w, gradient in zip(kept, torch.autograd.grad(ends, kept, errors), strict=True):
            w.grad = gradient

    def _forward(self, x: Tensor) -> tuple[Tensor, Weights]:
        """Return the outputs, and the inputs of layers to which errors go directly."""
        inputs: Weights = {}
        x = self._normalize("1", self._multiply("1", x, lambda x, w: F.conv2d(x, w)))
        x = F.max_pool2d(x.relu(), 2, ceil_mode=True).permute(0, 2, 3, 1).flatten(1)
        for number in ("3", "4"):
            if self.direct:
                inputs[f"{number}.weight"], x = x, x.detach()
            x = self._multiply(number, x, lambda x, w: x @ w.T)
            x = self._normalize(number, x).relu() if number == "3" else x
        return x, inputs

    def _multiply(self, number: str, x: Tensor, product: Callable[..., Tensor]) -> Tensor:
        w, bias = self.weights[f"{number}.weight"], self.weights.get(f"{number}.bias")
        v = w if self.direct else self.v.get(f"{number}.weight", w)
        y = _Product.apply(product, x, w, v.detach())
        return y if bias is None else y + bias.view(1, -1, *[1] * (y.ndim - 2))

    def _normalize(self, number: str, x: Tensor) -> Tensor:
        if self.trainer.model.batch_norm == "none":
            return x
        over = [0, *range(2, x.ndim)]
        centered = x - x.mean(over, keepdim=True)
        x = centered / (centered.square().mean(over, keepdim=True) + self.protocol.batch_norm_epsilon).sqrt()
        for kind, change in (("scale", torch.mul), ("shift", torch.add)):
            if (part := self.weights.get(f"{number}.{kind}")) is not None:
                x = change(x, part.view(1, -1, *[1] * (x.ndim - 2)))
        return x

    def _augment(self, images: Tensor, draws: torch.Generator) -> Tensor:
        border, flips = self.protocol.crop_padding, self.protocol.horizontal_flip
        drawn = torch.empty(max(self.protocol.batch_sizes), 3).uniform_(generator=draws)
        height, width = images.shape[1:3]
        changed = []
        for image, (down, right, flip) in zip(images, drawn.tolist(), strict=False):
            padded = F.pad(image, (0, 0, border, border, border, border))
            top, left = int(down * (2 * border + 1)), int(right * (2 * border + 1))
            part = padded[top : top + height, left : left + width]
            changed.append(part.flip(1) if flips and flip < 0.5 else part)
        return torch.stack(changed)


def _double(part: Tensor) -> Tensor:
    return part[0].detach().double().clone()
