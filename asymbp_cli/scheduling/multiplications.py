"""The multiplications of a training step under a scheme as it is defined; elementwise work is not counted."""

from collections.abc import Callable
from math import ceil, prod

from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.specs.measures import FIRST_LAYER
from asymbp_cli.specs.networks import Network, Weighted
from asymbp_cli.specs.runs import LAYERWISE, Run


def multiplications_over_bp(network: Network, feedback: Feedback) -> float:
    """Return the multiplications of a resolved network's step over those of plain backpropagation."""
    return 2 * _multiplications(network, feedback) / network.flop_per_sample()


def flop_per_sample(run: Run) -> int:
    """Return the floating-point operations of a step of a run, per sample; a multiply-add counts as two."""
    mirrors_first = run.method.feedback.kind.learned == "mirror" and FIRST_LAYER in run.protocol.measure
    first = 2 * _products(run.network.weighted()[0]) if mirrors_first else 0
    return 2 * (_multiplications(run.network, run.method.feedback) + first)


def scheme_flop_per_sample(network: Network, scheme: str) -> int:
    """Return the same for a resolved network and a scheme of a `StepKind`, with the scheme's defaults."""
    if scheme == LAYERWISE:
        return network.flop_per_sample()
    return 2 * _multiplications(network, Feedback(scheme=scheme))


def _multiplications(network: Network, feedback: Feedback) -> int:
    """Return the multiplications of a step of a resolved network, per sample.

    Of each layer: forward, gradient of W, and, but for the first layer, the error of its input through V.
    """
    first, *fed = network.weighted()
    count = _COUNTS.get(feedback.scheme, _plain)
    if feedback.kind.route != "layerwise":
        count = _direct(prod(network.weighted()[-1].after), learned=bool(feedback.kind.learned))
    return 2 * _products(first) + sum(ceil(count(layer, feedback)) for layer in fed)


def _products(layer: Weighted) -> int:
    """Return the multiplications of the forward pass of a sample."""
    return layer.flop // 2


def _plain(layer: Weighted, feedback: Feedback) -> float:
    return 3 * _products(layer)


def _mirrored(layer: Weighted, feedback: Feedback) -> float:
    """Return those of WM: noise goes forward too, and is correlated with what comes out."""
    return 5 * _products(layer)


def _product_feedback(layer: Weighted, feedback: Feedback) -> float:
    """Return those of PFA: the error through B [O, r], then through R [r, I], and the gradient of R."""
    outputs = layer.weight_shape[0]
    width = outputs if feedback.scheme == "pfa-o" else ceil(feedback.expansion * outputs)
    positions = prod(layer.after) // outputs
    return (2 + 2 * width / outputs) * _products(layer) + positions * outputs * width


def _direct(classes: int, *, learned: bool) -> Callable[[Weighted, Feedback], float]:
    """Return the count of direct feedback: the error of a layer's input comes from the classes; V may learn so."""

    def count(layer: Weighted, feedback: Feedback) -> float:
        return 2 * _products(layer) + (1 + learned) * classes * prod(layer.before)

    return count


_COUNTS: dict[str, Callable[[Weighted, Feedback], float]] = {
    "wm": _mirrored,
    "pfa": _product_feedback,
    "pfa-o": _product_feedback,
}
