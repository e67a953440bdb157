"""The sizes of a run's rows in a stack's banks (`training/bank.py`), and the bytes of the banks. No torch.

Not counted: alignment gaps between the parts of a row.
"""

from math import prod

from asymbp_cli.specs.measures import FIRST_LAYER
from asymbp_cli.specs.methods import UPDATES
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run

FLOAT, _HALF = 4, 2  # bytes of a float32, and of a bf16


def row_size(run: Run) -> int:
    """Return the weights, biases, scales and shifts of one replica, and its V if that is learned."""
    norm, shapes = run.method.batch_norm, [operation.weight_shape for operation in run.network.weighted()]
    normalized = sum(shape[0] for shape in shapes[:-1]) if norm != "none" else 0
    has_bias = run.protocol.has_bias
    biases = normalized * has_bias(normalized=True)
    biases += (sum(shape[0] for shape in shapes) - normalized) * has_bias(normalized=False)
    learned = feedback_size(run) if run.method.feedback.kind.learned else 0
    return sum(map(prod, shapes)) + biases + (2 * normalized if norm == "learnable" else 0) + learned


def feedback_size(run: Run) -> int:
    """Return the feedback weights V of one replica; the first layer has some only for measures."""
    fed = [operation for operation in run.network.weighted() if not operation.first]
    if run.method.feedback.kind.route == "layerwise":
        first = run.network.weighted()[:1] if FIRST_LAYER in run.protocol.measure else ()
        return sum(prod(operation.weight_shape) for operation in (*fed, *first))
    return sum(prod(fed[-1].after) * prod(operation.before) for operation in fed)


def bank_bytes(run: Run, replicas: int, *, parallel: bool = False) -> int:
    """Return the bytes of weights, optimizer state, gradients, feedback weights V and their random factors.

    If replicas step in `parallel`, each has a V.
    """
    width, feedback = activation_width(run.protocol), run.method.feedback
    rounded = width if width < FLOAT else 0  # weights as products take them
    scheme = feedback.kind
    shared = scheme.per_stack + (scheme.per_stack_to_flip if feedback.flip_probability else 0)
    shared += 2 * len(feedback.layers)  # a factor or fixed row, and a draw
    rows = 1 if parallel and run.method.train != "top" and not scheme.learned else scheme.per_replica
    vectors = replicas * rows * width + shared * FLOAT
    inputs = sum(prod(operation.before) for operation in run.network.weighted() if not operation.first)
    if feedback.scheme == "pfa":
        vectors += FLOAT  # what B B^T makes of a gradient
    noise = inputs * run.protocol.samples_per_batch(1) * FLOAT if scheme.learned == "mirror" else 0
    banks = 2 + UPDATES[run.method.update].states
    return replicas * row_size(run) * (banks * FLOAT + rounded) + feedback_size(run) * vectors + noise


def copied_bytes(run: Run, replicas: int) -> int:
    """Return the bytes of the rows that are copied once replicas have diverged between others (`blocks.py`).

    The weights as products take them, for training and for testing, V, and gradients.
    """
    width = activation_width(run.protocol)
    return replicas * (row_size(run) * (2 * width + FLOAT) + feedback_size(run) * width) if replicas > 2 else 0


def activation_width(protocol: Protocol) -> int:
    """Return the bytes of an activation, of a weight in a product and of a feedback weight."""
    return _HALF if protocol.precision == "bf16" else FLOAT
