"""One training and what makes it the same training: a run, its identity, and stacks of runs."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from operator import getitem
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.methods import UPDATES, Method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.references import REGISTERED, Plugin, is_reference

#: raised by hand whenever the same run would give other numbers than before
SEMANTICS = 1


#: fields that are younger than the first stores, by their path: at these values they are no part of an identity
ADDED_LATER: dict[tuple[str, ...], object] = {
    ("protocol", "precision"): "standard",
    ("protocol", "batch_norm_short_epochs"): "once",
    ("protocol", "measure"): [],
    ("protocol", "loss"): "cross-entropy",
    ("protocol", "bias_gradient"): 1.0,
    ("protocol", "initial_biases"): "zero",
    ("protocol", "gradient_clip"): 0.0,
    ("protocol", "nesterov"): False,
    ("protocol", "crop_padding"): 0,
    ("protocol", "horizontal_flip"): False,
    ("protocol", "adam_beta2"): 0.999,
    ("protocol", "adam_epsilon"): 1e-8,
    ("network", "activation"): "relu",
    ("method", "feedback", "scale"): "unit",
    ("method", "feedback", "density"): 1.0,
    ("method", "feedback", "alignment"): 0.5,
    ("method", "feedback", "noise"): 0.5,
    ("method", "feedback", "expansion"): 10.0,
    ("method", "feedback", "mirror_rate"): 0.01,
    ("method", "feedback", "mirror_noise"): 0.1,
    ("method", "feedback", "mirror_decay"): 0.0,
    ("method", "feedback", "mirror_passes"): 1,
    ("method", "feedback", "last"): "same",
    ("method", "feedback", "layers"): [],
    ("method", "feedback", "numbers"): {},
}


#: of a run; many runs share each of them
_PARTS = ("method", "network", "protocol")
#: returns canonical JSON
_write = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Run(Spec):
    """One training, fully resolved. Device, stack, workers and names are no part of it."""

    dataset: str  # fingerprint: SHA-256 of pixels, labels and class names
    network: Network
    method: Method
    protocol: Protocol
    rate_multiplier: Annotated[float, Field(gt=0)]
    seed: Annotated[int, Field(ge=0)]

    @cached_property
    def id(self) -> str:
        """SHA-256 (first 16 hex digits) of the canonical JSON of everything that decides the numbers."""
        rest = self.model_dump(mode="json", exclude=set(_PARTS)) | {"semantics": SEMANTICS}
        texts = {name: _write(value) for name, value in rest.items()}
        texts |= {name: _write_part(name, getattr(self, name).model_dump_json()) for name in _PARTS}
        text = ",".join(f"{_write(name)}:{texts[name]}" for name in sorted(texts))
        return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()[:16]

    @property
    def first_rate(self) -> float:
        """The learning rate of the first epoch."""
        return self.protocol.base_rate * self.protocol.phases[0].factor * self.rate_multiplier

    @property
    def references(self) -> tuple[str, ...]:
        """What the run uses of plugins."""
        names = (*self.method.names, *self.protocol.names)
        return tuple(sorted({name for name in names if is_reference(name)}))

    @property
    def stack_key(self) -> str:
        """Runs with equal keys can share a stack.

        They have the same network, normalization, trained layers, batches and seed, the same route of errors, and
        their V is learned or not. Their update rules keep as many numbers. They use the same of plugins, whose
        failures so reach no other run.
        """
        content = self.model_dump(mode="json", include={"dataset", "network", "seed", "protocol"})
        content["protocol"].pop("rate_multipliers")
        feedback = self.method.feedback
        content |= {"batch_norm": self.method.batch_norm, "train": self.method.train}
        content |= {"route": feedback.kind.route, "learned": feedback.kind.learned}
        content |= {"mirror_passes": feedback.mirror_passes, "plugins": self.references}
        content |= {"states": UPDATES[self.method.update].states}
        return json.dumps(content, sort_keys=True)


@lru_cache(maxsize=4096)
def _write_part(name: str, text: str) -> str:
    """Return the canonical JSON of a part of a run, of which `text` is the JSON: what decides the numbers."""
    content = {name: json.loads(text)}
    content[name].pop("rate_multipliers", None)  # of a protocol: one of them is the run's
    for *place, field in younger_paths(content):
        reduce(getitem, place, content).pop(field)
    return _write(content[name])


def younger_paths(content: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return the paths of younger fields that have their first values in parts of a dumped run, by name.

    They are no part of an identity. The fields of the feedback of single layers, and of phases, are among them.
    """
    firsts: dict[tuple[Any, ...], object] = dict(ADDED_LATER)
    layers = content["method"]["feedback"]["layers"] if "method" in content else ()
    for number, layer in enumerate(layers):
        for (*place, name), value in ADDED_LATER.items():
            if place == ["method", "feedback"] and name in layer:
                firsts[*place, "layers", number, name] = value
    phases = content["protocol"]["phases"] if "protocol" in content else ()
    for number in range(len(phases)):
        firsts["protocol", "phases", number, "decay"] = 1.0
    return [
        path for path, value in firsts.items() if path[0] in content and reduce(getitem, path, content) == value
    ]


def find_plugins(runs: Iterable[Run]) -> tuple[Plugin, ...]:
    """Return the plugins that runs use, of those that are loaded."""
    references = dict.fromkeys(reference for run in runs for reference in run.references)
    return tuple(dict.fromkeys(REGISTERED[reference] for reference in references if reference in REGISTERED))


@dataclass(frozen=True)
class Stack:
    """Runs of one `stack_key`, trained together; all continue after `start_epoch` (0: from scratch)."""

    runs: tuple[Run, ...]
    start_epoch: int = 0

    @cached_property
    def id(self) -> str:
        """A short name for progress displays."""
        return hashlib.sha256("".join(run.id for run in self.runs).encode()).hexdigest()[:8]


#: stands for all schemes whose steps take the same time: V carries the error of the layer, and is not learned
LAYERWISE = "layerwise"


class StepKind(NamedTuple):
    """What decides the time of a training step."""

    network: Network
    batch_norm: str
    train: str  # which layers
    batch_size: int  # of the first epoch
    precision: str
    scheme: str = LAYERWISE  # its name, if it is learned or direct: others take the same time
    plugins: tuple[str, ...] = ()  # what is used of them
    update: str = "sgd"  # the rule, if it takes longer than the paper's, which take the same time


def step_kind(run: Run) -> StepKind:
    """Return the kind of steps that a run makes."""
    protocol, method = run.protocol, run.method
    size, scheme = protocol.samples_per_batch(1), method.feedback.kind
    alike = LAYERWISE if scheme.route == LAYERWISE and not scheme.learned else method.feedback.scheme
    layout = run.network, method.batch_norm, method.train, size, protocol.precision
    update = method.update if UPDATES[method.update].states > 1 else "sgd"
    return StepKind(*layout, alike, run.references, update)


def representatives(runs: Iterable[Run]) -> dict[StepKind, Run]:
    """Return one run of each kind of steps, to measure."""
    found: dict[StepKind, Run] = {}
    for run in runs:
        found.setdefault(step_kind(run), run)
    return found
