"""The tables that `asymbp bench` prints."""

import sys
from collections.abc import Mapping, Sequence

from asymbp_cli.bench.measure import Measure
from asymbp_cli.cli.layout import lay_out
from asymbp_cli.cli.streams import measure_terminal
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.report.document import Listing
from asymbp_cli.scheduling.multiplications import multiplications_over_bp
from asymbp_cli.specs.methods import parse_method


def format_training(groups: Mapping[str, Sequence[Measure]], device: str, replicas: int, workers: int) -> str:
    """Return all groups of `measure_training`, each as a table under its title."""
    one_thread = ", one thread" if device == "cpu" else ""
    where = f"{workers} cores" if device == "cpu" else f"{device}, stacks of {replicas}"
    loops = groups["loops"]
    sections = (
        (
            f"Step of a replica over SGD's, MNIST network, stacks of {replicas}{one_thread}:",
            _format_steps(groups["overhead"], "over SGD"),
        ),
        (
            "The same of learned and direct schemes, and their multiplications as they are defined:",
            _format_schemes(groups["schemes"]),
        ),
        (
            "Step of a replica, MNIST network, uSF, by the size of the stack:",
            _format_steps(groups["scaling"], "over 1 replica"),
        ),
        (
            "A replica's sample, MNIST network, uSF, by the size of the mini-batch:",
            _format_batch_sizes(groups["growth"]),
        ),
        (
            "Step of a replica by the precision of its products:",
            _format_precisions(groups["precision"]),
        ),
        (
            "Rate of a training step over that of matrix products of the same round, uSF:",
            _format_ceiling(groups["ceiling"]),
        ),
        (
            f"Training throughput over the {loops[0].name}, MNIST network, {where}:",
            _format_throughput(loops),
        ),
    )
    return "\n".join(f"\n{title}\n{table}" for title, table in sections)


def _format_steps(measures: Sequence[Measure], ratio_name: str) -> str:
    rows = [[*_step(m), f"{m.ratio:.2f}", _range(m)] for m in measures]
    return format_grid(rows, ["", "ms per step", "samples/s", ratio_name, "range"])


def _format_schemes(measures: Sequence[Measure]) -> str:
    """Return the steps of schemes on the MNIST network, named as methods."""
    network = NETWORKS["mnist"].resolve(10)
    counts = (multiplications_over_bp(network, parse_method(m.name).feedback) for m in measures)
    rows = [
        [*_step(m), f"{m.ratio:.2f}", _range(m), f"{count:.2f}"] for m, count in zip(measures, counts, strict=True)
    ]
    return format_grid(rows, ["", "ms per step", "samples/s", "over SGD", "range", "multiplications over SGD"])


def _format_throughput(measures: Sequence[Measure]) -> str:
    rows = [[*_step(m), f"{1 / m.ratio:.2f}", _inverse_range(m)] for m in measures]
    return format_grid(rows, ["", "ms per step", "samples/s", "times its samples/s", "range"])


def _step(m: Measure) -> list[str]:
    return [m.name, f"{1e3 * m.seconds:.2f}", f"{100 / m.seconds:,.0f}"]


def _format_batch_sizes(measures: Sequence[Measure]) -> str:
    rows = [
        [m.name, f"{1e6 * m.seconds:.1f}", f"{1 / m.seconds:,.0f}", f"{m.ratio:.2f}", _range(m)] for m in measures
    ]
    return format_grid(rows, ["", "us per sample", "samples/s", "over batch 100", "range"])


def _format_precisions(measures: Sequence[Measure]) -> str:
    rows = [[m.name, f"{1e3 * m.seconds:.2f}", f"{m.ratio:.2f}", _range(m)] for m in measures]
    return format_grid(rows, ["network", "ms per step", "over the default", "range"])


def _format_ceiling(measures: Sequence[Measure]) -> str:
    rows = [[m.name, f"{1 / m.seconds:,.0f}", f"{1 / m.ratio:.2f}", _inverse_range(m)] for m in measures]
    return format_grid(rows, ["network", "GFLOP/s", "share", "range"])


def _range(m: Measure) -> str:
    return f"{m.lowest:.2f} to {m.highest:.2f}"


def _inverse_range(m: Measure) -> str:
    """Return the range of how many times faster than the reference it is."""
    return f"{1 / m.highest:.2f} to {1 / m.lowest:.2f}"


def format_grid(rows: list[list[str]], header: list[str]) -> str:
    """Return rows under a header, in the width of standard output."""
    listing = Listing("", tuple(header), tuple(map(tuple, rows)))
    return "\n".join(lay_out(listing, measure_terminal(sys.stdout)[0]).lines)
