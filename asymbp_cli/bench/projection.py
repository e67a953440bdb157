"""What the paper's tables would take on this machine, from measured steps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from asymbp_cli.bench.steps import SIZES, Steps, random_data, runs_of
from asymbp_cli.datasets.catalog import CATALOG, PAPER_ROWS
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.recipe.build import make_table_grid
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.table import load_table
from asymbp_cli.report.parts import lead
from asymbp_cli.scheduling.estimate import samples_per_epoch
from asymbp_cli.scheduling.replica_limit import replica_limit
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run
from asymbp_cli.training.device import open_device, threads

_METHODS = {"none": "uSF", "plain": "uSF+BN", "learnable": "BN"}  # one for each normalization
_STEPS = 3

#: seconds per FLOP of a training step, by network of Table 1 and normalization
Rates = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Projection:
    """A table of the paper: its runs, and what they would take, those that other tables share included.

    `petaflop`: training and testing after every epoch.
    """

    table: str
    runs: int
    hours: float
    petaflop: float


def project(device_name: str, *, workers: int, replicas: int) -> list[Projection]:
    """Return what each table, and last the whole paper, would take by the `paper` protocol on all 15 datasets.

    Steps of each network and normalization are measured, and their median counts; runs that train only some layers
    count as the others.
    On the CPU `workers` runs are trained at once, one thread each.
    """
    infos = {info.fingerprint: info for info in map(_info, PAPER_ROWS.values())}
    tables = [table for table in load_table("all") if table.kind == "errors"]
    found: dict[str, dict[str, Run]] = {}
    for table in tables:
        rows = [info for info in infos.values() if info.key in table.datasets]
        found[lead(table.title)] = make_table_grid(table, Protocol(), "paper", rows).all_runs()
    found["the whole paper"] = {run_id: run for runs in found.values() for run_id, run in runs.items()}
    networks = {CATALOG[key].network for key in PAPER_ROWS.values()}
    rates = _rates(networks, device_name, replicas)
    at_once = workers if device_name == "cpu" else 1
    return [_projection(name, runs.values(), infos, rates, at_once) for name, runs in found.items()]


def _info(key: str) -> DecodedDataset:
    entry = CATALOG[key]
    assert entry.paper_counts is not None
    train, test = entry.paper_counts
    return DecodedDataset(
        key=key,
        label=entry.label,
        paper_name=entry.paper_name,
        exact=True,
        classes=tuple(map(str, range(entry.classes))),
        shape=(),
        train_count=train,
        test_count=test,
        fingerprint=key,
        directory="",
    )


def _rates(networks: Iterable[str], device_name: str, replicas: int) -> Rates:
    device, found = open_device(device_name), {}
    with threads(1):
        for key in sorted(networks):
            for normalization, method in _METHODS.items():
                data = random_data(NETWORKS[key].resolve(SIZES[key][0]), *SIZES[key], device)
                count = _together(key, method, device_name, data.info, replicas)
                steps = Steps(key, [method] * count, device, data)
                found[key, normalization] = median(steps.measure(1) for _ in range(_STEPS)) / steps.flop
                del steps  # the next needs its memory
    return found


def _together(key: str, method: str, device_name: str, info: DecodedDataset, replicas: int) -> int:
    """Return how many replicas step at once: on the CPU one, elsewhere up to `replicas` as memory has room."""
    if device_name == "cpu":
        return 1
    (run,) = runs_of(NETWORKS[key].resolve(SIZES[key][0]), [method])
    return replica_limit(device_name, {run.dataset: info}, 1, most=replicas)(run)


def _projection(
    name: str, runs: Iterable[Run], infos: Mapping[str, DecodedDataset], rates: Rates, workers: int
) -> Projection:
    runs, seconds, flop = list(runs), 0.0, 0.0
    for run in runs:
        info = infos[run.dataset]
        per_epoch = run.network.flop_per_sample() * samples_per_epoch(run, info)
        seconds += run.protocol.epochs * per_epoch * rates[CATALOG[info.key].network, run.method.batch_norm]
        forward = sum(operation.flop for operation in run.network.weighted()) * info.test_count
        flop += run.protocol.epochs * (run.network.flop_per_sample() * info.train_count + forward)
    return Projection(name, len(runs), seconds / workers / 3600, flop / 1e15)
