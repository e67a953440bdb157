"""Everything about training that a method leaves open (section 5), each choice a named field.

Where a docstring says "not stated in the paper" the default is our reading of it; shared by every method of
a table, so that a comparison between columns never rests on it.
"""

from itertools import accumulate, pairwise
from math import ceil, floor
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field

from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.measures import ON_REQUEST, list_on_request
from asymbp_cli.specs.references import by_short_name, is_reference, know, list_names, resolve

#: what one method of a comparison cannot change: all see the same images, chosen by the same rule
SHARED_FIELDS = ("resize", "validation_fraction")

_SMALLEST = 1e-30
T = TypeVar("T")
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Precision = Literal["standard", "fp32", "bf16"]
Preprocessing = Literal["mean-image", "mean-image-unscaled", "mean-pixel", "none"]

#: initialization -> the distribution of a layer's weights; plugins add theirs
INITIALIZATIONS: dict[str, str] = {
    "glorot-normal": "N(0, 2 / (fan_in + fan_out))",
    "glorot-uniform": "U(-b, b), b = sqrt(6 / (fan_in + fan_out))",
    "he-normal": "N(0, 2 / fan_in)",
    "half-glorot-normal": "N(0, 1 / (fan_in + fan_out))",
    "pytorch-uniform": "U(-b, b), b = 1 / sqrt(fan_in)",
    "normal": "N(0, initial_std^2)",
}


class Phase(Spec):
    """A stretch of epochs at one learning rate: `share` of all epochs at `factor` times the base rate.

    Weights decay by `decay` times the weight decay.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    share: Annotated[float, Field(ge=1e-6, le=1e6)]
    """Of all epochs, in proportion to the other phases: 50, 25 and 25 of 100 epochs are 2, 1 and 1 too."""
    factor: Annotated[float, Field(gt=0, le=1e6)]
    """Times the base rate."""
    decay: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Times the weight decay."""


class BatchSize(Spec):
    """From `from_epoch` (counted from 1) on, mini-batches hold `size` samples."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    from_epoch: Count
    """The first epoch of this size, counted from 1; the first size is that of epoch 1."""
    size: Count
    """Samples of a mini-batch."""


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must not name a value twice")
    return values


def _not_too_small(value: float) -> float:
    """Return a number that is 0, or not so small that products in float32 lose it."""
    if 0 < value < _SMALLEST:
        raise ValueError(f"must be 0 or at least {_SMALLEST}")
    return value


def _on_request(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return measures in the order of their list, and those of plugins behind them."""
    found = _distinct(tuple(resolve(name, list_on_request()) for name in names))
    own = sorted(name for name in found if is_reference(name))
    return (*(name for name in ON_REQUEST if name in found), *own)


def _list_measures(schema: dict[str, Any]) -> None:
    schema["items"]["enum"] = list(by_short_name(list_on_request()))


def _from_the_first_epoch(entries: tuple[BatchSize, ...]) -> tuple[BatchSize, ...]:
    starts = [entry.from_epoch for entry in entries]
    if starts[0] != 1 or starts != sorted(set(starts)):
        raise ValueError("must begin with from_epoch: 1, and every from_epoch be greater than the one before")
    return entries


class Protocol(Spec):
    """Epochs, rates, batches, initialization, preprocessing and selection.

    The defaults are those of `paper`; only a field that older runs are stored without defaults to what they did.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)  # the schema shows them to editors

    epochs: Annotated[int, Field(ge=1, le=10**6)] = 65
    """Section 5. Changing it stretches the phases in proportion, each to at least one if there are enough."""
    phases: Annotated[tuple[Phase, ...], Field(strict=False, min_length=1)] = (
        Phase(share=10, factor=1),
        Phase(share=2, factor=0.1),
        Phase(share=1, factor=0.01),
    )
    """Section 5: 50 epochs at the base rate, 10 at a tenth, 5 at a hundredth. `decay` is times `weight_decay`."""
    base_rate: Positive = 5e-4
    """Learning rate eta of the first phase at multiplier 1 (section 5), applied to `gradient`."""
    rate_multipliers: Annotated[
        tuple[Positive, ...], Field(strict=False, min_length=1), AfterValidator(_distinct)
    ] = (
        100.0,
        10.0,
        1.0,
        0.1,
        0.01,
    )
    """Section 5: every model is trained once per multiplier of the base rate; a cell is the best of them."""
    batch_size: (
        Count
        | Annotated[
            tuple[BatchSize, ...], Field(strict=False, min_length=1), AfterValidator(_from_the_first_epoch)
        ]
    ) = 100
    """Section 5: 100; in the second procedure of uSF+BM 100 for three epochs, then 500."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Section 5. Adam's beta1."""
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Of Adam's average of squared gradients (Kingma and Ba 2015)."""
    adam_epsilon: Annotated[float, Field(ge=_SMALLEST)] = 1e-8
    """Added by Adam to the root of that average (Kingma and Ba 2015)."""
    nesterov: bool = False
    """SGD steps along -g + m tau - d w, tau being the new one (Sutskever, Martens, Dahl and Hinton 2013). Other
    update rules do as before."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """d of section 3; not stated in the paper (MatConvNet's default, there beside a mean gradient)."""
    gradient: Literal["sum", "mean"] = "sum"
    """Over the mini-batch. Section 3 writes a sum; the protocol `matconvnet` takes the mean."""
    loss: Literal["cross-entropy", "sigmoid-cross-entropy", "squared-error"] = "cross-entropy"
    """Of a sample: cross-entropy after a softmax, the sum over classes of that after a sigmoid each, or half of
    the squared distance between outputs and one-hot label."""
    gradient_clip: Annotated[float, Field(ge=0), AfterValidator(_not_too_small)] = 0.0
    """Largest L2 norm of a mini-batch's gradient over all parameters that train; 0 is none, as in the paper."""
    bias_gradient: Positive = 1.0
    """Factor on the gradients of biases. (Batch Manhattan takes their signs.)"""
    zero_sign: Literal[0, 1] = 0
    """What Batch Manhattan makes of a gradient that is exactly 0; not stated in the paper (MATLAB: 0)."""
    decay_biases: bool = True
    """Weight decay on biases; not stated in the paper (its formulas say w)."""
    manhattan_biases: bool = True
    """Batch Manhattan on biases (else SGD); not stated in the paper (its formulas say w)."""
    decay_batch_norm: bool = True
    """Weight decay on learnable scale and shift; not stated in the paper (its formulas say w)."""
    momentum_at_change: Literal["keep", "reset"] = "keep"
    """Momentum, and averages of Adam, when rate or batch size changes; not stated in the paper."""
    initialization: Annotated[str, know(INITIALIZATIONS), Field(json_schema_extra=list_names(INITIALIZATIONS))] = (
        "glorot-normal"
    )
    """Of weights; `half-glorot-normal` has half of Glorot's variance, `pytorch-uniform` is what PyTorch's layers
    start with. Not stated in the paper."""
    initial_biases: Literal["zero", "as-weights"] = "zero"
    """Biases start at 0, or drawn as the weights of their layer. Not stated in the paper."""
    initial_std: Positive = 0.01
    """Standard deviation of `initialization: normal`; MatConvNet's examples use 0.01 to 0.05."""
    biases: Literal["without-batch-norm", "all", "none"] = "without-batch-norm"
    """Layers that have a bias: those no BN follows directly, all or none. Not stated in the paper."""
    batch_norm_epsilon: Positive = 1e-5
    """Added to the variance; not stated in the paper."""
    batch_norm_average: Annotated[float, Field(gt=0, le=1)] = 0.05
    """alpha of the moving average for test statistics (section 3)."""
    batch_norm_batches: Count = 20
    """Mini-batches averaged after each epoch for the test statistics (section 3)."""
    batch_norm_short_epochs: Literal["once", "cycle"] = "once"
    """If an epoch has fewer mini-batches: average them once, or cycle to that number."""
    average_pool_border: Literal["inside", "padded"] = "inside"
    """Average pooling at the padded border divides by the cells inside the image (MatConvNet), or by all."""
    order: Literal["reshuffle", "fixed", "file"] = "reshuffle"
    """Of the samples: drawn for each epoch, drawn once, or as in the dataset. Not stated in the paper."""
    last_batch: Literal["keep", "drop"] = "keep"
    """The short mini-batch at an epoch's end; not stated in the paper."""
    preprocessing: Preprocessing = "mean-image"
    """Subtract the training set's mean image; `mean-image` divides by its deviation. Not stated in the paper."""
    crop_padding: Annotated[int, Field(ge=0, le=10**4)] = 0
    """Training images are cropped at random, anew in each epoch, from a black border of so many pixels."""
    horizontal_flip: bool = False
    """Half of the training images, drawn anew in each epoch, are flipped from left to right. BN's test statistics
    are of images as they are."""
    resize: Literal["squash", "crop"] = "squash"
    """How images reach the input size, antialiased; section 5 says only that they are resized."""
    precision: Precision = "standard"
    """Of products and activations: `standard` is fp32 on the CPU and tf32 on CUDA. Weights and updates: fp32."""
    validation_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training set held out, per class. 0 is the paper's rule, which picks on the test set."""
    measure: Annotated[
        tuple[str, ...], Field(strict=False, json_schema_extra=_list_measures), AfterValidator(_on_request)
    ] = ()
    """What is measured after every epoch besides angles, signs and norms of V and W. Nothing else depends on it.
    `first-layer-feedback` gives the first layer a V too, for these measures alone."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that plugins may have added."""
        return self.initialization, *self.measure

    @property
    def augments(self) -> bool:
        """Whether training images are changed at random."""
        return self.crop_padding > 0 or self.horizontal_flip

    def has_bias(self, *, normalized: bool) -> bool:
        """Return whether a layer has a bias; BN follows one that is `normalized`."""
        return self.biases == "all" or (self.biases == "without-batch-norm" and not normalized)

    def schedule(self) -> tuple[tuple[int, float], ...]:
        """Return (epochs, learning rate at multiplier 1) of each phase; the epochs add up to `epochs`.

        A phase ends at its share of all epochs, rounded, but lasts one epoch at least (65 -> 50, 10, 5; 5 -> 3, 1,
        1). Where there are fewer epochs than phases, the last phases are left out.
        """
        phases = self.phases[: self.epochs]
        ends, share = [0], 0.0
        for later, phase in zip(reversed(range(len(phases))), phases, strict=True):
            share += phase.share
            ideal = round(self.epochs * share / sum(phase.share for phase in phases))
            ends.append(min(max(ideal, ends[-1] + 1), self.epochs - later))
        counts = (end - begin for begin, end in pairwise(ends))
        return tuple((n, self.base_rate * phase.factor) for n, phase in zip(counts, phases, strict=True))

    def rate(self, epoch: int) -> float:
        """Return the learning rate at multiplier 1 of `epoch` (counted from 1)."""
        return self.schedule()[self._phase(epoch)][1]

    def decay(self, epoch: int) -> float:
        """Return the weight decay of `epoch` (counted from 1)."""
        return self.weight_decay * self.phases[self._phase(epoch)].decay

    def _phase(self, epoch: int) -> int:
        """Return the number of the phase of `epoch`, from 0."""
        ends = accumulate(count for count, _ in self.schedule())
        try:
            return next(number for number, end in enumerate(ends) if epoch <= end)
        except StopIteration:
            raise ValueError(f"epoch {epoch} is beyond {self.epochs}") from None

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The sizes of mini-batches, in the order in which they begin."""
        if isinstance(self.batch_size, int):
            return (self.batch_size,)
        return tuple(entry.size for entry in self.batch_size)

    @property
    def batch_grows(self) -> bool:
        """Whether the batch size changes during a training."""
        return len(set(self.batch_sizes)) > 1

    def growing_before_rate_drops(self) -> "Protocol":
        """Return this protocol with every batch size that would begin at a new rate begun before it, if it can be.

        So each has an effect of its own: with quick's 3, 1 and 1 epochs, a size from epoch 4 on begins in epoch 3.
        If no earlier epoch is free, since the size before begins there or the rate drops there too, it stays.
        """
        if isinstance(self.batch_size, int):
            return self
        drops = set(accumulate((count for count, _ in self.schedule()), initial=1)) - {1}
        entries = [self.batch_size[0]]
        for entry in self.batch_size[1:]:
            earlier = (
                epoch for epoch in range(entry.from_epoch, entries[-1].from_epoch, -1) if epoch not in drops
            )
            entries.append(entry.model_copy(update={"from_epoch": next(earlier, entry.from_epoch)}))
        return self.model_copy(update={"batch_size": tuple(entries)})

    def has_short_epochs(self, train_count: int, held_out: int | None = None) -> bool:
        """Return whether an epoch on so many samples may have fewer mini-batches than test statistics average.

        Of them `held_out` do not train. If that is not known, it is taken as its share; classes round theirs.
        """
        left = train_count * (1 - self.validation_fraction) if held_out is None else train_count - held_out
        batches = left / max(self.batch_sizes)
        return (floor if self.last_batch == "drop" else ceil)(batches) < self.batch_norm_batches

    def samples_per_batch(self, epoch: int) -> int:
        """Return the mini-batch size of `epoch` (counted from 1)."""
        if isinstance(self.batch_size, int):
            return self.batch_size
        return [entry.size for entry in self.batch_size if entry.from_epoch <= epoch][-1]

    def trained_samples(self, epoch: int, count: int) -> int:
        """Return how many of `count` samples `epoch` (from 1) trains on: all, or whole mini-batches only."""
        short = count % self.samples_per_batch(epoch) if self.last_batch == "drop" else 0
        return count - short or count  # a single mini-batch is kept
