"""What a plugin's scheme is told of its layer: how deep it is, and random numbers.

These are known before its first step, so that CUDA graphs replay them.
"""

from collections import Counter
from dataclasses import replace

import torch
from torch import Tensor

from asymbp_cli.training.draws import Normal, Uniform, generator
from asymbp_cli.training.feedback.site import Site
from asymbp_cli.training.model import Parameter

_KINDS = {"normal": Normal, "uniform": Uniform}


class Draw:
    """Random numbers in the shape of one layer's V, [1, O, ...]: the same for all replicas, rates and methods.

    The k-th draw of a call differs from the others, and is drawn anew after every update, or never if `once`.
    `depth` counts the convolutions and FC layers below this one; `deepest` is that of the last.
    """

    def __init__(self, site: Site, part: Parameter, *, fixed: bool = False) -> None:
        self._site, self._part, self._fixed = site, part, fixed
        self._counts = Counter[str]()
        self._kept: dict[str, Tensor] = {}
        self._complete = False
        numbers = [operation.number for operation in site.model.weighted]
        self.depth, self.deepest = numbers.index(part.layer), len(numbers) - 1

    def normal(self, *, once: bool = False) -> Tensor:
        """Return numbers from N(0, 1), drawn anew after every update of W, or only once."""
        return self._next("normal", once=once)

    def uniform(self, *, once: bool = False) -> Tensor:
        """Return uniform numbers in [0, 1), drawn anew after every update of W, or only once."""
        return self._next("uniform", once=once)

    def begin_call(self) -> None:
        """Count the draws from the first one again."""
        self._counts.clear()

    def end_trial(self) -> None:
        """Allow no other draws than those that the first call has made."""
        self._complete = True

    def _next(self, kind: str, *, once: bool) -> Tensor:
        once = once or self._fixed
        role = f"plugin-{kind}{'-once' if once else ''}"
        self._counts[role] += 1
        key = f"{role}-{self._counts[role]}"
        if key not in self._kept:
            if self._complete:
                raise RuntimeError(f"{kind} draw {self._counts[role]} is new: the first call did not make it")
            self._kept[key] = self._draw_once(kind, key) if once else self._draw_anew(kind, key)
        return self._kept[key]

    def _draw_once(self, kind: str, key: str) -> Tensor:
        """Draw on the CPU, so that every device has the same numbers."""
        source, values = generator(self._site.seed, key, self._part.layer), torch.empty(1, self._part.size)
        _fill(values, kind, source)
        return replace(self._part, start=0).view(values.to(self._site.device))

    def _draw_anew(self, kind: str, key: str) -> Tensor:
        """Return a view of numbers that the site redraws; until its first epoch any will do."""
        values = self._site.draw_row(key, _KINDS[kind])
        _fill(values, kind, generator(0, key, device=values.device))
        return self._part.view(values[None])


def _fill(values: Tensor, kind: str, source: torch.Generator) -> None:
    if kind == "normal":
        values.normal_(generator=source)
    else:
        values.uniform_(generator=source)
