"""The bytes that training a stack takes beyond the dataset and the process itself, counted from layer shapes.

Counted: the stack's banks (`bank_sizes.py`), a mini-batch, and one replica's way forward and backward through its
layers as `model.py` goes it (`_Walk`). Not counted: alignment gaps between the parts of a row, rounding and
fragmentation by allocators, weights and images that oneDNN and cuDNN reorder, and their workspaces; also what
has no more than a few values per feature or sample. `asymbp bench memory` holds the count against the machine.
No torch.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, prod
from typing import NamedTuple

from asymbp_cli.scheduling.bank_sizes import FLOAT, activation_width, bank_bytes, copied_bytes, row_size
from asymbp_cli.specs.layers import FC, Conv
from asymbp_cli.specs.measures import FIRST_LAYER
from asymbp_cli.specs.networks import Activate, Network, Normalize, Pooling, Weighted
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run

_INDEX = 8  # bytes of max pooling's int64 index
EVALUATION_SAMPLES = 250  # in a batch of evaluation.py
SUMMED_POSITIONS = 4096  # in a part of a gradient, of kernels/products.py


def stack_bytes(run: Run, replicas: int, *, parallel: bool, workspace: int = 0) -> int:
    """Return the peak bytes of training and testing a stack of `replicas` runs like `run`.

    Replicas step one after the other, so only one's activations are there at a time. If they step in `parallel`,
    as on CUDA, all are, and a CUDA graph keeps its memory while replicas are tested. Then a library may also keep
    a `workspace` per thread, for the way forward and back. Measures on request make a step of their own.
    """
    step, test = (count(run, replicas, parallel=parallel) for count in (step_bytes, evaluation_bytes))
    initial = FLOAT * row_size(run)  # there while the bank's rows are made from it
    if not parallel:
        return bank_bytes(run, replicas) + max(step, test, initial)
    probe = step if set(run.protocol.measure) - {FIRST_LAYER} else 0  # next to what the graphs keep
    banks = bank_bytes(run, replicas, parallel=True) + copied_bytes(run, replicas)
    return banks + step + test + probe + 2 * workspace


def replicas_that_fit(run: Run, available_bytes: int, *, most: int, parallel: bool, workspace: int = 0) -> int:
    """Return how many runs like `run` a stack of up to `most` may hold in `available_bytes`.

    At least 1, which may not fit.
    """

    def need(replicas: int) -> int:
        return stack_bytes(run, replicas, parallel=parallel, workspace=workspace)

    return max(1, bisect_right(range(1, most + 1), available_bytes, key=need))


def step_bytes(run: Run, replicas: int, *, parallel: bool) -> int:
    """Return the peak bytes of a training step of a stack beyond its banks."""
    samples = _largest_batch(run.protocol)
    values, width = samples * prod(run.network.input), activation_width(run.protocol)
    from_bytes = len(run.network.input) == 3
    gathered = values * (FLOAT + max(from_bytes, width % FLOAT))  # bytes become floats, and these bf16
    if run.protocol.augments:
        gathered = max(gathered, _augmented_bytes(run.network.input, samples, run.protocol.crop_padding))
    activations = (replicas if parallel else 1) * _training_peak(_Way.of(run, samples, parallel))
    masks = run.protocol.zero_sign and run.method.update in ("bm1", "bm2", "bm3")  # of gradients that are 0
    update = replicas * row_size(run) if masks else 0
    return max(gathered, width * values + max(activations, update))


def _augmented_bytes(image: tuple[int, ...], samples: int, padding: int) -> int:
    """Return the peak bytes of augmenting a mini-batch: its images, these in their border, and the result."""
    height, width, channels = image
    padded: int = (height + 2 * padding) * (width + 2 * padding) * channels
    return samples * (2 * height * width * channels + padded + 3 * FLOAT)


def evaluation_bytes(run: Run, replicas: int, *, parallel: bool) -> int:
    """Return the peak bytes of testing a stack beyond its banks; BN's statistics are of mini-batches."""
    samples = EVALUATION_SAMPLES
    if run.method.batch_norm != "none":
        samples = max(samples, _largest_batch(run.protocol))
    activations = (replicas if parallel else 1) * _testing_peak(_Way.of(run, samples, parallel))
    return activation_width(run.protocol) * samples * prod(run.network.input) + activations


def _largest_batch(protocol: Protocol) -> int:
    sizes = protocol.batch_size
    return sizes if isinstance(sizes, int) else max(entry.size for entry in sizes)


class _Way(NamedTuple):
    """What decides the activations of one replica."""

    network: Network
    samples: int
    batch_norm: bool
    train: str  # which layers
    border: str  # of average poolings
    width: int  # bytes of an activation
    parallel: bool  # next to those of other replicas

    @classmethod
    def of(cls, run: Run, samples: int, parallel: bool) -> "_Way":
        method = run.method
        norm, border = method.batch_norm != "none", run.protocol.average_pool_border
        return cls(run.network, samples, norm, method.train, border, activation_width(run.protocol), parallel)


@lru_cache(maxsize=1024)
def _training_peak(way: _Way) -> int:
    walk = _Walk(way)
    walk.train()
    return walk.peak


@lru_cache(maxsize=1024)
def _testing_peak(way: _Way) -> int:
    walk = _Walk(way)
    walk.test()
    return walk.peak


@dataclass(frozen=True)
class _Node:
    """A layer on a mini-batch's way; sizes in bytes."""

    before: int  # its input
    after: int  # its output
    weights: int = 0
    indices: int = 0  # of max pooling
    padded: int = 0  # a copy of average pooling's input, with a border that counts
    flattened: int = 0  # a copy of an image, whose features of one replica come together for an FC layer
    turned: int = 0  # V of a convolution in the order in which kernels read it
    parts: int = 0  # of gradients, in float32, as kernels sum them
    normalized: bool = False  # BN follows, with an output of its own
    widened: int = 0  # what normalizing with given statistics takes: its output, or input and output in float32
    activated: bool = False  # the activation works on its output, in place


class _Walk:
    """A replica's way through its layers; `peak` is the most bytes at once, without the mini-batch.

    Every output is kept until the last operation that needs it has gone back: a layer's input, the activation's
    result, max pooling's input and indices, BN's input. The errors of an operation's output and of its input are
    there together, and the weights' gradients so far.
    """

    def __init__(self, way: _Way) -> None:
        self._nodes = _nodes(way)
        self._first = next(number for number, node in enumerate(self._nodes) if node.weights)
        self._train = way.train
        self._now = self.peak = 0

    def _change(self, *sizes: int) -> None:
        """Take (+) and give back (-) memory, in this order."""
        for size in sizes:
            self._now += size
            self.peak = max(self.peak, self._now)

    def train(self) -> None:
        """Go forward and back."""
        if self._train == "top":
            self._train_top()
            return
        for node in self._nodes:
            self._change(
                node.padded + node.flattened, node.after, node.after if node.normalized else 0, node.indices
            )
        logits = self._nodes[-1].after
        self._change(logits, logits, -logits)  # the loss keeps their log-softmax until it gives their error
        for number in reversed(range(self._first, len(self._nodes))):
            self._back(number)

    def test(self) -> None:
        """Go forward; of each layer only its output stays."""
        for number, node in enumerate(self._nodes):
            normal = node.after if node.normalized else 0
            copied = node.padded + node.flattened
            self._change(copied, node.after, node.widened, normal - node.widened, node.indices)
            self._change(-copied, -normal, -node.indices)
            if number:  # the mini-batch stays
                self._change(-node.before)

    def _train_top(self) -> None:
        """The layers below the last keep nothing, since no error comes to them."""
        self.test()
        top = self._nodes[-1]
        self._change(top.before, top.after, top.after, top.weights)

    def _back(self, number: int) -> None:
        """Go back through a layer, with the error of its output there, and leave that of its input."""
        node, first = self._nodes[number], number == self._first
        if node.activated:
            self._change(node.after, -node.after, -node.after)  # another error; the old one, the result
        if node.normalized:  # torch's batch norm works in a buffer of its own
            self._change(node.after, node.after, -node.after, -node.after, -node.after)
        error = 0 if first else node.before
        if node.padded:  # back through the pooling, then through the copy
            self._change(node.padded, -node.padded, -node.after, error, -node.padded)
        else:
            self._change(
                error,
                node.turned,
                -node.turned,
                node.parts,
                node.weights - node.parts,
                -node.indices,
                -node.after - node.flattened,
            )
        if not first and not self._nodes[number - 1].activated:
            self._change(-node.before)


def _nodes(way: _Way) -> list[_Node]:
    """Return the layers with what follows them, by the operations that the network computes."""
    nodes: list[_Node] = []
    for operation in way.network.operations(batch_norm=way.batch_norm):
        match operation:
            case Weighted() | Pooling():
                nodes.append(_node(operation, way))
            case Normalize(_, shape):
                widened = way.samples * prod(shape) * (2 * FLOAT if way.width < FLOAT else FLOAT)
                nodes[-1] = replace(nodes[-1], normalized=True, widened=widened)
            case Activate():
                nodes[-1] = replace(nodes[-1], activated=True)
    return nodes


def _node(operation: Weighted | Pooling, way: _Way) -> _Node:
    unit = way.width * way.samples
    node = _Node(before=unit * prod(operation.before), after=unit * prod(operation.after))
    if isinstance(operation, Weighted):
        weights = prod(operation.weight_shape)
        node = replace(node, weights=way.width * weights)
        if not way.parallel:
            return node
        image = len(operation.before) == 3 and max(operation.before[:2]) > 1
        flat = image and isinstance(operation.layer, FC) and not operation.first
        parts = ceil(way.samples * prod(operation.after[:-1]) / SUMMED_POSITIONS) + 1
        turned = isinstance(operation.layer, Conv) and not operation.first
        return replace(
            node,
            flattened=node.before if flat else 0,
            turned=node.weights if turned else 0,
            parts=FLOAT * weights * parts,
        )
    if operation.layer.kind == "max":
        return replace(node, indices=way.samples * _INDEX * prod(operation.after))
    end = operation.layer.padding_end
    if end and way.border == "padded":
        height, width, features = operation.before
        return replace(node, padded=unit * (height + end) * (width + end) * features)
    return node
