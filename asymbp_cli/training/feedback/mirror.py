"""The weight mirror: V becomes like W, since noise that goes through W correlates with what comes out.

For noise x into a layer, y = f(W x + b) is its output after the activation f. The last layer has one if the loss
has sigmoids. For linear f the mean of y x^T is W times the variance of x. Each layer has noise of its own, which
all replicas of a stack share.

Source: Akrout, Wilson, Humphreys, Lillicrap and Tweed 2019, section 4.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from asymbp_cli.specs.layers import FC
from asymbp_cli.specs.networks import Weighted
from asymbp_cli.training import products
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.blocks import Block, Rows
from asymbp_cli.training.feedback.forms import Mirrored
from asymbp_cli.training.products import Geometry


class Mirror:
    """Mirrors the weights of a stack's replicas into their V, after every update.

    `passes` are the epochs of mirroring before training, the same for all replicas (`Run.stack_key`).
    """

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._rates, self._widths, self._decays = torch.zeros(3, len(bank.alive), 1, device=bank.alive.device)
        self.passes = 0
        for form, rows in bank.feedback_bank.learned:
            assert isinstance(form, Mirrored)
            self._layers = list(zip(bank.model.fed_operations, bank.model.learned, form.noise, strict=True))
            self._rates[rows], self._widths[rows], self._decays[rows] = form.rate, form.width, form.decay
            self.passes = max(self.passes, form.passes)

    @torch.no_grad()
    def __call__(self, blocks: Sequence[Block]) -> None:
        """Change V of the replicas of `blocks` by their weights and the noise, which the bank has drawn."""
        for block in blocks:
            block.fetch()
            for op, part, noise in self._layers:
                V, rows = part.columns(self._bank.weights), block.rows
                change = part.flat(self._correlate(block, op, noise)).float().mul_(self._rates[rows])
                V[rows] = change.add_(V[rows] * (1 - self._decays[rows]))
        self._bank.use_weights()

    def _correlate(self, block: Block, op: Weighted, noise: Tensor) -> Tensor:
        """Return the sum of y x^T [R', O, ...] over samples and positions."""
        name = f"{op.number}.weight"
        W, bias = block.parameters[name], block.parameters.get(f"{op.number}.bias")
        model, flat = self._bank.model, isinstance(op.layer, FC)
        activate = model.activate if op.number != model.last else model.activate_output
        x = self._spread(noise, block.rows, flat=flat).to(W.dtype)
        if isinstance(op.layer, FC):
            y = products.multiply_vectors(x, W, bias)
            gradient, _ = products.correlate_vectors(x, activate(y), W, biased=False)
            return gradient
        geometry = Geometry.of(op.layer)
        y = products.multiply(x, W, bias, geometry)
        gradient, _ = products.correlate(x, activate(y), W, geometry, biased=False)
        return gradient

    def _spread(self, noise: Tensor, rows: Rows, *, flat: bool) -> Tensor:
        """Return the noise of each replica by its width: [N, R' * I] if `flat`, otherwise [N, R' * C, H, W]."""
        centered = (noise.flatten(1) if flat else noise)[..., None, :] - 0.5  # [N, (H, W,) 1, I]
        spread: Tensor = (centered * self._widths[rows]).flatten(-2)
        return spread if flat else spread.permute(0, 3, 1, 2)
