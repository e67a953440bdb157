"""Times the table of Akrout et al. 2019 against plain PyTorch: one thread, one scheme after another.

python tests/campaigns/learned_feedback_speed.py [EPOCHS] [ROUNDS] [WORKERS]: rounds of both on MNIST, interleaved
($ASYMBP_DATA). The command starts anew each time. The loop has its data in memory, and measures as much in every
epoch: losses, test errors, and the angle of V and W in both layers.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import binary_cross_entropy_with_logits, linear, one_hot

from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.recipe.protocols import load_protocol

SCHEMES = ("BP", "FA", "KP", "WM")
RATES = {"BP": 0.2, "FA": 0.2, "KP": 0.3, "WM": 0.05}
MIRROR_RATE, MIRROR_NOISE = 0.1, 1.0
SIZES = (784, 500, 10)
BATCH = 128


class Linear(Function):
    """x W^T + b, whose error goes back through V."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, V: Tensor, b: Tensor) -> Tensor:
        """Return the output [N, O] of x [N, I]."""
        ctx.save_for_backward(x, V)
        return linear(x, W, b)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, W and b."""
        x, V = ctx.saved_tensors
        below = error @ V if ctx.needs_input_grad[0] else None
        return below, error.t() @ x, None, error.sum(0)


class Loop:
    """The network of a scheme, as one would write it with autograd and `torch.optim`; `train` makes one epoch."""

    def __init__(self, scheme: str, data: ResidentData) -> None:
        torch.manual_seed(0)
        self.scheme, self.rate = scheme, RATES[scheme]
        pairs = list(zip(SIZES[1:], SIZES[:-1], strict=True))
        self.W = [(torch.randn(pair) / sum(pair) ** 0.5).requires_grad_() for pair in pairs]
        self.b = [torch.zeros(rows).requires_grad_() for rows, _ in pairs]
        self.V = self.W if scheme == "BP" else [torch.randn(pair) / sum(pair) ** 0.5 for pair in pairs]
        self.optimizer = torch.optim.SGD([*self.W, *self.b], lr=self.rate)
        self.x, self.test_x = (split.x.flatten(1).float() / 255 for split in (data.train, data.test))
        self.y, self.test_y = data.train.y, data.test.y
        self.targets = one_hot(self.y, SIZES[-1]).float()
        if scheme == "WM":
            for part in self.y.split(BATCH):
                self.mirror(len(part))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [N, 10]."""
        hidden = Linear.apply(x, self.W[0], self.V[0], self.b[0]).sigmoid()
        logits: Tensor = Linear.apply(hidden, self.W[1], self.V[1], self.b[1])
        return logits

    def step(self, x: Tensor, target: Tensor) -> Tensor:
        """Train on a mini-batch [N, 784]; return its summed loss."""
        self.optimizer.zero_grad()
        loss = binary_cross_entropy_with_logits(self.forward(x), target, reduction="sum")
        (loss / len(x)).backward()
        self.optimizer.step()
        if self.scheme == "KP":
            for W, V in zip(self.W, self.V, strict=True):
                assert W.grad is not None
                V.sub_(W.grad, alpha=self.rate)
        if self.scheme == "WM":
            self.mirror(len(x))
        return loss.detach()

    @torch.no_grad()
    def mirror(self, count: int) -> None:
        """Let noise go through each layer, and change V by what comes out."""
        for W, b, V in zip(self.W, self.b, self.V, strict=True):
            noise = (torch.rand(count, W.shape[1]) - 0.5) * MIRROR_NOISE
            V.add_(linear(noise, W, b).sigmoid().t() @ noise, alpha=MIRROR_RATE / count)

    def train(self) -> tuple[float, float, list[float]]:
        """Train an epoch; return its loss, the test error and the angles in degrees."""
        parts = zip(self.x.split(BATCH), self.targets.split(BATCH), strict=True)
        loss = torch.stack([self.step(x, target) for x, target in parts]).sum().item()
        with torch.no_grad():
            wrong = (self.forward(self.test_x).argmax(1) != self.test_y).float().mean().item()
            angles = [
                torch.cosine_similarity(W.flatten(), V.flatten(), dim=0).clamp(-1, 1).acos().rad2deg().item()
                for W, V in zip(self.W, self.V, strict=True)
            ]
        return loss, wrong, angles


def time_loop(data: ResidentData, epochs: int) -> float:
    """Return the seconds of all schemes, one after another in one thread."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    for scheme in SCHEMES:
        loop = Loop(scheme, data)
        found = [loop.train() for _ in range(epochs)][-1]
        print(f"  loop, {scheme}: test error {100 * found[1]:.2f} %, angles {found[2]}", file=sys.stderr)
    return time.perf_counter() - began


def time_command(epochs: int, workers: int) -> float:
    """Return the seconds of the command, from its start to its end."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "asymbp_cli", "reproduce", "--table", "akrout2019", "--quiet"]
        options = ["--set", f"protocol.epochs={epochs}", "--workers", str(workers), "--results", results]
        began = time.perf_counter()
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def main(epochs: int = 20, rounds: int = 3, workers: int = 2) -> None:
    """Print the ratio of each round, and their median."""
    protocol, _ = load_protocol("akrout2019")
    info = prepare("mnist", (28, 28, 1), resize=protocol.resize)
    data = load(info, device="cpu", preprocessing="none", validation_fraction=0.0, seed=0)
    ratios = []
    for _ in range(rounds):
        loop, command = time_loop(data, epochs), time_command(epochs, workers)
        ratios.append(loop / command)
        print(f"loop {loop:.1f} s, command {command:.1f} s: {loop / command:.2f}", flush=True)
    print(f"{epochs} epochs of four schemes, {workers} workers: {statistics.median(ratios):.2f} times as fast")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
