"""The projected time of the paper's tables on this machine, from measured steps."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from asymbp_cli.bench.steps import SIZES, Steps, make_random_data, make_runs
from asymbp_cli.datasets.catalog import CATALOG, PAPER_ROWS
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.recipe.build import make_table_grid
from asymbp_cli.recipe.networks import NETWORKS, network_for
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.table import load_table
from asymbp_cli.report.text import short_title
from asymbp_cli.scheduling.estimate import samples_per_epoch
from asymbp_cli.scheduling.replica_limit import replica_limit
from asymbp_cli.specs.runs import Run
from asymbp_cli.training.device import open_device, threads

_METHODS = {"none": "uSF", "plain": "uSF+BN", "learnable": "BN"}  # one for each normalization
_STEPS = 3

#: seconds per FLOP of a training step, by network of Table 1 and normalization
Rates = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Projection:
    """A table of the paper: its runs and their cost, including runs that other tables share.

    `petaflop` counts training, and testing after every epoch.
    """

    table: str
    runs: int
    hours: float
    petaflop: float


def project(device_name: str, *, workers: int, replicas: int) -> list[Projection]:
    """Return the time of each table, and last of the whole paper, by the `paper` protocol on all 15 datasets.

    Steps of each network and normalization are measured, and their median counts. Runs that train only some layers
    count as the others. The CPU trains `workers` runs at once, with one thread each.
    """
    infos = {info.fingerprint: info for info in map(_info, PAPER_ROWS.values())}
    runs_by_table = _runs_by_table(infos.values())
    networks = {CATALOG[key].network for key in PAPER_ROWS.values()}
    rates = _rates(networks, device_name, replicas)
    at_once = workers if device_name == "cpu" else 1
    return [_projection(name, runs.values(), infos, rates, at_once) for name, runs in runs_by_table.items()]


def _runs_by_table(infos: Collection[DecodedDataset]) -> dict[str, dict[str, Run]]:
    """Return the runs of each table, and last of the whole paper."""
    runs: dict[str, dict[str, Run]] = {}
    protocol, label = load_protocol("paper")
    for table in load_table("all"):
        if table.kind == "errors":
            rows = [info for info in infos if info.key in table.datasets]
            runs[short_title(table.title)] = make_table_grid(table, protocol, label, rows).all_runs()
    whole = {run_id: run for table_runs in runs.values() for run_id, run in table_runs.items()}
    return runs | {"the whole paper": whole}


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
        shape=network_for(key).input,
        train_count=train,
        test_count=test,
        fingerprint=key,
        directory="",
    )


def _rates(networks: Iterable[str], device_name: str, replicas: int) -> Rates:
    device = open_device(device_name)
    rates = {}
    with threads(1):
        for key in sorted(networks):
            for normalization, method in _METHODS.items():
                data = make_random_data(NETWORKS[key].resolve(SIZES[key][0]), *SIZES[key], device)
                count = _replica_count(key, method, device_name, data.info, replicas)
                steps = Steps(key, [method] * count, device, data)
                rates[key, normalization] = median(steps.measure(1) for _ in range(_STEPS)) / steps.flop
                del steps  # the next needs its memory
    return rates


def _replica_count(key: str, method: str, device_name: str, info: DecodedDataset, replicas: int) -> int:
    """Return the number of replicas that step at once: one on the CPU, otherwise up to `replicas` if they fit."""
    if device_name == "cpu":
        return 1
    (run,) = make_runs(NETWORKS[key].resolve(SIZES[key][0]), [method])
    return replica_limit([device_name], {run.dataset: info}, most=replicas)(run)


def _projection(
    name: str, runs: Iterable[Run], infos: Mapping[str, DecodedDataset], rates: Rates, workers: int
) -> Projection:
    runs, seconds, flop = list(runs), 0.0, 0.0
    for run in runs:
        info, epochs = infos[run.dataset], run.protocol.epochs
        per_sample = run.network.flop_per_sample()
        rate = rates[CATALOG[info.key].network, run.method.batch_norm]
        seconds += epochs * per_sample * samples_per_epoch(run, info) * rate
        forward = sum(operation.flop for operation in run.network.weighted()) * info.test_count
        flop += epochs * (per_sample * info.train_count + forward)
    return Projection(name, len(runs), seconds / workers / 3600, flop / 1e15)
