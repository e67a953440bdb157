"""The measures of a training, a row each: what is measured after every epoch, by layer. No torch.

Layers are counted as in the names of weights (`3.weight`), from 1 over all layers, poolings too. Layer 0 is the
whole network.
"""

from dataclasses import dataclass

from asymbp_cli.specs.references import is_reference, short_name


@dataclass(frozen=True)
class Measure:
    """What is known of a measure without its numbers. One with a `cost` is made on request only."""

    title: str  # with its unit
    meaning: str
    source: str
    cost: str = ""  # of one epoch


MEASURES: dict[str, Measure] = {
    "angle": Measure(
        title="angle between V and W, degrees",
        meaning="between the feedback weights V and the weights W of a layer: 90 is no likeness",
        source="Lillicrap, Cownden, Tweed and Akerman 2016",
    ),
    "agreement": Measure(
        title="agreeing signs, share",
        meaning="share of weights whose V has their sign, of those where neither is 0",
        source="Liao, Leibo and Poggio 2016, section 2",
    ),
    "norm-ratio": Measure(
        title="norm of V over that of W",
        meaning="the Frobenius norm of V over that of W",
        source="Ji-An and Benna 2024",
    ),
    "gradient-angle": Measure(
        title="angle to the gradient of backpropagation, degrees",
        meaning="between the gradient of W through V and through W, on a fixed mini-batch; 0: of all weights",
        source="Lillicrap, Cownden, Tweed and Akerman 2016",
        cost="two steps",
    ),
    "rank": Measure(
        title="effective rank of the error",
        meaning="exp of the entropy of the normalized singular values of the error at a layer's output",
        source="Roy and Vetterli 2007",
        cost="a step, and the singular values of a matrix for each layer",
    ),
    "growth": Measure(
        title="growth of activations",
        meaning="norm of a layer's output over that of the layer before; 0: the largest; above 50 is an alarm",
        source="a test of depth",
        cost="a step",
    ),
}

#: keeps a V of the first layer too, which no error passes, by its scheme's rule; only the measures see it
FIRST_LAYER = "first-layer-feedback"

#: those of the package that `Protocol.measure` may name
ON_REQUEST = (*(key for key, measure in MEASURES.items() if measure.cost), FIRST_LAYER)


def list_on_request() -> tuple[str, ...]:
    """Return the names that `Protocol.measure` may have, with those of plugins."""
    return (*ON_REQUEST, *(key for key in MEASURES if is_reference(key)))


def title_of(key: str) -> str:
    """Return the title of a measure; that of a plugin that is not loaded is its name."""
    return MEASURES[key].title if key in MEASURES else short_name(key)
