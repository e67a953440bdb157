"""Times of steps as a file, so that a study can be planned for a device that is elsewhere. No torch."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from asymbp_cli.errors import AsymbpError, UsageError
from asymbp_cli.files.paths import expand_home
from asymbp_cli.recipe.networks import NETWORK_FILES, WrittenNetwork, find_network
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.scheduling.step_times import StepTimes
from asymbp_cli.specs.base import Label
from asymbp_cli.specs.networks import Network, dimensions
from asymbp_cli.specs.protocol import Precision
from asymbp_cli.specs.runs import LAYERWISE, StepKind
from asymbp_cli.specs.schemes import SCHEMES
from asymbp_cli.text import nearest, printable_path

_PREFIX = "steps-"  # of the files in recipes/results
_GIB = 1 << 30
_LONGEST = 10_000_000  # characters
_MOST = 10**9  # of any number in a row


def _know_scheme(name: str) -> str:
    """Return the name of a scheme whose steps take a time of their own; all others are `layerwise`."""
    known = [LAYERWISE, *(key for key, scheme in SCHEMES.items() if scheme.learned or scheme.route != LAYERWISE)]
    if name not in known:
        raise ValueError(f'"{name}" is not a scheme.{nearest(name, known)} Choose {", ".join(known)}')
    return name


class _Row(BaseModel):
    """A measured step. `network` is a name, or all its layers; what may be left out has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    device: Literal["cpu", "cuda", "mps"]
    model: Label
    memory_gib: Annotated[float, Field(gt=0, le=_MOST)] | None = None
    network: Label
    batch_norm: Literal["none", "plain", "learnable"] = "none"
    train: Literal["all", "top", "bottom"] = "all"
    batch_size: Annotated[int, Field(ge=1, le=_MOST)] = 100
    precision: Precision = "standard"
    scheme: Annotated[str, AfterValidator(_know_scheme)] = "layerwise"
    update: Literal["sgd", "adam"] = "sgd"
    replicas: Annotated[int, Field(ge=1, le=_MOST)]
    milliseconds: Annotated[float, Field(gt=0, le=_MOST)]

    @property
    def kind(self) -> StepKind:
        """Return the kind of the step; raises AsymbpError if there is no such network."""
        network = _read_network(self.network)
        layout = network, self.batch_norm, self.train, self.batch_size, self.precision
        return StepKind(*layout, self.scheme, update=self.update)


def load_steps(name: str) -> StepTimes:
    """Return the times in a file, or in one that comes with the tool (`h100`).

    Raises UsageError with the first problem and its line.
    """
    file = _find(name)
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(_LONGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"cannot read {printable_path(file)}: {reason}") from error
    if len(text) > _LONGEST:
        raise UsageError(f"{printable_path(file)} is longer than {_LONGEST:,} characters. Name a .csv file")
    rows = list(_read_rows(text.splitlines(), file))
    if not rows:
        raise UsageError(f"{printable_path(file)} has no rows. asymbp plan --save-steps FILE writes such a file")
    devices = dict.fromkeys((row.device, row.model, row.memory_gib) for row, _ in rows)
    if len(devices) > 1:
        names = " and ".join(model for _, model, _ in list(devices)[:2])
        raise UsageError(f"{printable_path(file)} has steps of {names}. Write a file for each device")
    ((device, model, memory),) = devices
    seconds: dict[StepKind, dict[int, float]] = {}
    for row, kind in rows:
        seconds.setdefault(kind, {})[row.replicas] = row.milliseconds / 1000
    return StepTimes(device, model, printable_path(name), int(memory * _GIB) if memory else None, seconds)


def _find(name: str) -> Path:
    shipped = {file.stem.removeprefix(_PREFIX): file for file in _shipped()}
    if name.lower() in shipped:
        return shipped[name.lower()]
    if "/" in name or name.endswith(".csv"):
        return expand_home(name)
    choices = f"{nearest(name, shipped)} Choose {', '.join(shipped)}, or a .csv file"
    raise UsageError(f'there are no measured steps "{name}".{choices}')


def _shipped() -> Sequence[Path]:
    return sorted((recipes_directory() / "results").glob(f"{_PREFIX}*.csv"))


def _read_rows(lines: Sequence[str], file: Path) -> Iterator[tuple[_Row, StepKind]]:
    """Yield the rows below a head of remarks and the names of columns."""
    head = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    for number, record in enumerate(_split_rows(lines[head:], file), start=head + 2):
        try:
            row = _Row.model_validate({key: text for key, text in record.items() if text})
            yield row, row.kind
        except ValidationError as error:
            problem = error.errors()[0]
            column = ".".join(map(str, problem["loc"]))
            raise UsageError(f"{printable_path(file)}:{number}: {column}: {problem['msg']}") from None
        except AsymbpError as error:
            raise UsageError(f"{printable_path(file)}:{number}: network: {error}") from None


def _split_rows(lines: Sequence[str], file: Path) -> Iterator[dict[str, str]]:
    try:
        yield from csv.DictReader(lines, restkey="too many values")
    except csv.Error as error:
        raise UsageError(f"{printable_path(file)} is no CSV file: {error}") from error


def _read_network(text: str) -> Network:
    if ", " not in text:
        return find_network(text).resolve(NETWORK_FILES[text.lower()].classes)
    size, *layers = text.split(", ")
    try:
        network = WrittenNetwork.model_validate({"input": size, "layers": layers}).network
    except ValidationError as error:
        raise UsageError(f"{error.errors()[0]['msg']}") from None
    network.shapes()
    return network


def write_steps(steps: StepTimes) -> str:
    """Return times as the text of such a file; steps that need plugins are left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_Row.model_fields), lineterminator="\n")
    writer.writeheader()
    memory = f"{steps.memory / _GIB:.1f}" if steps.memory else ""
    for kind, times in steps.seconds.items():
        if not kind.plugins:
            writer.writerows(_records(steps, memory, kind, times))
    return text.getvalue()


def _records(
    steps: StepTimes, memory: str, kind: StepKind, times: Mapping[int, float]
) -> Iterator[dict[str, object]]:
    facts = kind._asdict() | {"network": ", ".join((dimensions(kind.network.input), *kind.network.layers))}
    del facts["plugins"]
    for replicas, seconds in times.items():
        device = {"device": steps.device, "model": steps.model, "memory_gib": memory}
        yield device | facts | {"replicas": replicas, "milliseconds": f"{1000 * seconds:.4g}"}
