"""Feedback schemes: a row in `specs/schemes.py` and a builder here, which returns the form that its V takes."""

from collections.abc import Callable, Iterable
from functools import partial
from math import ceil, prod

import torch
from torch import Tensor

from asymbp_cli.specs.feedback import Feedback, LayerFeedback
from asymbp_cli.training.draws import generator
from asymbp_cli.training.feedback.forms import (
    Computed,
    Fixed,
    Form,
    Learned,
    Mirrored,
    SignConcordant,
    Transposed,
    write_form,
    write_signed,
)
from asymbp_cli.training.feedback.site import Site
from asymbp_cli.training.initialization import draw_weight
from asymbp_cli.training.model import Parameter

Builder = Callable[[LayerFeedback, Site], Form]

_TERNARY_THRESHOLD = 0.7  # of a layer's mean |W| (Li, Zhang and Liu 2016, eq. 6)


def _usf(feedback: LayerFeedback, site: Site) -> Form:
    gain = site.gain(feedback)
    return SignConcordant(None if gain is None else site.constant(gain))


def _nusf(feedback: LayerFeedback, site: Site) -> Form:
    row = 1 / site.model.row_of(lambda part: part.fan_in)
    return SignConcordant(site.constant(site.thin(row, feedback.density)))


def _brsf(feedback: LayerFeedback, site: Site) -> Form:
    factor = site.redrawn(feedback.flip_probability, site.gain(feedback, of_magnitudes=True))
    return SignConcordant(factor, flips=feedback.flip_probability > 0)


def _frsf(feedback: LayerFeedback, site: Site) -> Form:
    factor = site.drawn_once(feedback.flip_probability, site.gain(feedback, of_magnitudes=True))
    return SignConcordant(factor, flips=feedback.flip_probability > 0)


def _fix(values: Tensor, feedback: LayerFeedback, site: Site) -> Form:
    return Fixed(site.send(site.thin(values, feedback.density)))


def _rndf(feedback: LayerFeedback, site: Site) -> Form:
    return _fix(site.model.random_feedback(site.seed, feedback.sigma), feedback, site)


def _fa(feedback: LayerFeedback, site: Site) -> Form:
    return _fix(site.model.random_feedback(site.seed), feedback, site)


def _soft(feedback: LayerFeedback, site: Site) -> Form:
    r = feedback.alignment
    return _fix(r * site.initial() + (1 - r * r) ** 0.5 * site.model.random_feedback(site.seed), feedback, site)


def _startsf(feedback: LayerFeedback, site: Site) -> Form:
    weights, gain = site.initial(), site.gain(feedback)
    values = torch.empty_like(weights)
    write_signed(gain, weights, values)
    return Fixed(site.send(values))


def _noisy(feedback: LayerFeedback, site: Site) -> Form:
    noise = site.noise()

    def write(W: Tensor, V: Tensor) -> None:
        torch.abs(W, out=V).mul_(noise).mul_(feedback.noise).add_(W)

    return Computed(write)


def _ternary(feedback: LayerFeedback, site: Site) -> Form:
    parts = [slice(part.start, part.start + part.size) for part in site.model.fed]

    def write(W: Tensor, V: Tensor) -> None:
        for w, v in split_rows(W, V):
            for columns in parts:
                v[:, columns] = round_to_ternary(w[:, columns].float())

    return Computed(write)


def round_to_ternary(weights: Tensor) -> Tensor:
    """Return a sign(W) if |W| is large, else 0, for each layer in a row of `weights` [R, F].

    a is the mean |W| of the large ones. Source: Li, Zhang and Liu 2016, eq. 3 and 6.
    """
    size = weights.abs()
    large = size > _TERNARY_THRESHOLD * size.mean(1, keepdim=True)
    mean = (size * large).sum(1, keepdim=True) / large.sum(1, keepdim=True).clamp_(min=1)
    return torch.sign(weights).mul_(large).mul_(mean)


def split_rows(*banks: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Yield banks [R', ...] row by row on the CPU, so that no sum depends on R'; elsewhere whole."""
    parts = (torch.split(bank, 1 if bank.device.type == "cpu" else len(bank)) for bank in banks)
    return zip(*parts, strict=True)


def _learned(feedback: LayerFeedback, site: Site) -> Form:
    return Learned(site.model.random_feedback(site.seed), learn=_copy)


def _copy(source: Tensor, target: Tensor) -> None:
    target.copy_(source)


def draw_path(site: Site, part: Parameter, expansion: float | None) -> tuple[Tensor, Tensor]:
    """Return PFA's B [O, r] and initial R [r, I] of a layer, r = expansion * O; without it B is orthogonal.

    B is N(0, 1 / r), so that the mean of B B^T is the identity. R is drawn as the weights of a layer are.
    """
    outputs, source = part.shape[0], generator(site.seed, "path", part.layer)
    width = outputs if expansion is None else ceil(expansion * outputs)
    B = torch.empty(outputs, width).normal_(0, width**-0.5, generator=source)
    R = torch.empty(width, part.fan_in)
    draw_weight(site.model.protocol, R, part.fan_in, part.fan_out * width // outputs, source)
    return torch.linalg.qr(B)[0] if expansion is None else B, R


def _pfa(feedback: LayerFeedback, site: Site, *, orthogonal: bool) -> Form:
    """Return V = B R without R: as R's gradient is B^T g, that of V is B B^T g, g the gradient of W.

    Sums of increments with momentum and decay are linear, so that V is B R in every step. Batch Manhattan
    takes the signs of B B^T g, and Adam its averages: not those of R's gradient.
    """
    start = torch.zeros(site.model.feedback_size)
    squares: list[tuple[slice, int, Tensor]] = []
    for part in site.model.fed:
        B, R = draw_path(site, part, None if orthogonal else feedback.expansion)
        columns = slice(part.start, part.start + part.size)
        start[columns] = (B @ R).flatten()
        squares.append((columns, len(B), (B @ B.T).to(site.device)))

    def learn(of_w: Tensor, of_v: Tensor) -> None:
        for w, v in split_rows(of_w, of_v):
            for columns, outputs, square in squares:
                shape = (len(w), outputs, -1)
                v[:, columns].view(shape).copy_(square @ w[:, columns].view(shape))

    return Learned(start, learn=_copy if orthogonal else learn)


def _wm(feedback: LayerFeedback, site: Site) -> Form:
    samples = site.model.protocol.samples_per_batch(1)
    return Mirrored(
        site.model.random_feedback(site.seed),
        rate=feedback.mirror_rate,
        width=feedback.mirror_noise,
        decay=feedback.mirror_decay,
        passes=feedback.mirror_passes,
        noise=tuple(
            site.stream(f"mirror-{op.number}", samples * prod(op.before)).view(samples, *op.before)
            for op in site.model.fed_operations
        ),
    )


def _mix(feedback: LayerFeedback, site: Site) -> Form:
    """Return V with a form for each layer but the first.

    The first one's, for measures, is that of the scheme, or if there is none for all, of the second layer.
    """
    parts = site.model.fed
    count = len(parts) - site.model.feeds_first
    if isinstance(feedback, Feedback) and feedback.layers:
        inner, own = feedback.layers, feedback.layers[0]
    else:
        own = feedback.model_copy(update={"last": "same"})
        inner = (*[own] * (count - 1), *[LayerFeedback()] * min(count, 1))
    columns_of: dict[LayerFeedback, list[slice]] = {}
    for spec, part in zip((*inner, own) if site.model.feeds_first else inner, parts, strict=True):
        columns_of.setdefault(spec, []).append(slice(part.start, part.start + part.size))
    forms = [(build(spec, site), layers) for spec, layers in columns_of.items()]

    def write(W: Tensor, V: Tensor) -> None:
        for form, layers in forms:
            if isinstance(form, Computed):  # computes whole rows
                rows = torch.empty_like(V)
                form.write(W, rows)
                for columns in layers:
                    V[:, columns] = rows[:, columns]
            else:
                for columns in layers:
                    write_form(form, W[:, columns], V[:, columns], columns)

    return Computed(write)


#: scheme -> what builds the form of its V; the keys are those of `specs.schemes.SCHEMES`
BUILDERS: dict[str, Builder] = {
    "bp": lambda feedback, site: Transposed(),
    "usf": _usf,
    "nusf": _nusf,
    "brsf": _brsf,
    "frsf": _frsf,
    "rndf": _rndf,
    "fa": _fa,
    "soft": _soft,
    "startsf": _startsf,
    "noisy": _noisy,
    "ternary": _ternary,
    "sham": lambda feedback, site: Computed(_copy),
    "mixed": _mix,
    "kp": _learned,
    "wm": _wm,
    "pfa": partial(_pfa, orthogonal=False),
    "pfa-o": partial(_pfa, orthogonal=True),
    "dfa": _fa,
    "sdfa": _fa,
    "drtp": _fa,
    "dkp": lambda feedback, site: Learned(site.model.random_feedback(site.seed)),
}


def build(feedback: LayerFeedback, site: Site) -> Form:
    """Return the form of V that `feedback` asks for."""
    if feedback.last == "bp":
        return _mix(feedback, site)
    return BUILDERS[feedback.scheme](feedback, site)
