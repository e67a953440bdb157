"""`asymbp bench`."""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
from tabulate import tabulate

from asymbp_cli.cli import options
from asymbp_cli.cli.progress import duration
from asymbp_cli.machine import cores
from asymbp_cli.scheduling.replica_limit import MAX_REPLICAS

if TYPE_CHECKING:
    from asymbp_cli.bench.forms import Comparison
    from asymbp_cli.bench.measure import Measure

_QUIET = 0.2  # busy cores
_SCALING = {"cpu": (1, 2, 4, 8), "cuda": (1, 4, 16, 64), "mps": (1, 4, 16)}


@click.command("bench")
@click.argument("what", type=click.Choice(["training", "memory", "paper", "report", "forms"]), default="training")
@options.device
@click.option(
    "--replicas",
    type=click.IntRange(min=1),
    help="Replicas in a stack; as many as trainings have without it: 5, on CUDA 64.",
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=7, show_default=True, help="Rounds to take medians of."
)
@click.option("--steps", type=click.IntRange(min=1), default=10, show_default=True, help="Steps in a round.")
@click.option("--save", is_flag=True, help="Keep these measures as the baseline of this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.cache_dir
def command(
    what: str,
    device: str,
    replicas: int | None,
    rounds: int,
    steps: int,
    save: bool,
    as_json: bool,
    cache_dir: Path | None,
) -> None:
    """Measure this machine. WHAT is training (the default), memory, paper, report or forms.

    training: steps as ratios within each round, at batch 100 where nothing else is said. Every feedback scheme's
    step over backpropagation's; the engine over the loops that a good user of PyTorch would write; stacks and
    mini-batches of several sizes; each precision of products; FLOP of each network's step over the rate of matrix
    products. What became slower than a baseline kept with --save is said.

    memory: the memory that the planner predicts for stacks of one and of --replicas on each network of Table 1,
    over what they take, in training steps and in testing; beside it what the process has with the freed buffers
    that it keeps. On the CPU of Linux, and on CUDA.

    paper: what each table of the paper, and all of it, would take here by its protocol.

    report: planning and rendering all 2,520 trainings of the paper, 65 epochs each, from a store with made-up
    numbers.

    forms: every layer of Table 1 for a stack of replicas: one after the other, as one grouped convolution, by
    batches of matrix products, by torch.vmap and, on CUDA, as branches of one graph.

    \b
    Example:
      asymbp bench
      asymbp bench memory --replicas 8
      asymbp bench paper
      asymbp bench forms --rounds 3
      asymbp bench --device cuda
    """
    replicas = replicas or MAX_REPLICAS.get(device.split(":")[0], 5)
    if what == "report":
        _report(as_json)
    elif what == "forms":
        _forms(device, replicas, rounds, as_json)
    elif what == "memory":
        _memory(device, replicas, as_json)
    elif what == "paper":
        _paper(device, replicas, as_json)
    else:
        _training(device, replicas, rounds, steps, save, as_json, cache_dir)


def _training(
    device: str, replicas: int, rounds: int, steps: int, save: bool, as_json: bool, cache_dir: Path | None
) -> None:
    from asymbp_cli.bench import ceiling, loops, measure
    from asymbp_cli.bench import steps as engine
    from asymbp_cli.datasets.cache import cache_directory

    busy = _start(device, quiet=as_json)
    found: dict[str, Sequence[measure.Measure]] = {
        "overhead": engine.feedback_overhead(device, replicas=replicas, rounds=rounds, steps=max(steps // 2, 1)),
        "scaling": engine.scaling(device, _SCALING[device.split(":")[0]], rounds=rounds, seconds=steps / 30),
        "growth": engine.growth(device, replicas=replicas, rounds=rounds, steps=steps),
        "precision": engine.precisions(device, replicas=replicas, rounds=rounds, seconds=steps / 30),
        "ceiling": ceiling.ceiling(device, replicas=replicas, rounds=rounds, seconds=steps / 30),
    }
    if device == "cpu":
        found["loops"] = loops.engine_over_loops(workers=cores(), replicas=replicas, rounds=rounds, steps=steps)
    else:
        found["loops"] = loops.engine_over_resident(device, replicas=replicas, rounds=rounds, steps=steps)
    machine = f"{platform.node()}, {device}, {cores()} cores, stacks of {replicas}"
    baseline = cache_directory(cache_dir) / f"bench-{device.replace(':', '-')}.json"
    worse = measure.slower(found, machine, baseline)
    if save:
        measure.save(found, machine, baseline)
    if as_json:
        measured = {name: [asdict(m) for m in group] for name, group in found.items()}
        click.echo(json.dumps(measured | {"slower": worse, "busy_cores_before": busy}))
        return
    _show(found, device, replicas)
    if worse is not None:
        click.echo(
            "\n" + "\n".join(["slower than the baseline:", *worse] if worse else ["no slower than the baseline"])
        )
    elif baseline.exists() and not save:
        click.echo("\nnot compared with a baseline of another machine or --replicas, which --save would replace")
    if save:
        click.echo(f"\nkept as the baseline: {baseline}")


def _start(device: str, *, quiet: bool) -> float | None:
    """Say that measuring begins, and what disturbs it; return how many cores are busy already, where known."""
    from asymbp_cli.machine import busy_cores

    if not quiet:
        click.echo("measuring; other work on this machine disturbs it", err=True)
    busy = busy_cores()
    if not quiet and device == "cpu" and busy is not None and busy > _QUIET:
        click.echo(
            f"it does so now: {busy:.1f} of {os.cpu_count()} cores are busy; measure again when they are free",
            err=True,
        )
    return busy


def _show(found: dict[str, "Sequence[Measure]"], device: str, replicas: int) -> None:
    alone = ", one thread" if device == "cpu" else ""
    click.echo(f"\nStep of a replica over SGD's, MNIST network, stacks of {replicas}{alone}:")
    click.echo(_table(found["overhead"], "over SGD", invert=False))
    click.echo("\nStep of a replica, MNIST network, uSF, by the size of the stack:")
    click.echo(_table(found["scaling"], "over 1 replica", invert=False))
    click.echo("\nA replica's sample, MNIST network, uSF, by the size of the mini-batch:")
    rows = [
        [m.name, f"{1e6 * m.seconds:.1f}", f"{1 / m.seconds:,.0f}", f"{m.ratio:.2f}", _range(m, invert=False)]
        for m in found["growth"]
    ]
    click.echo(_grid(rows, ["", "us per sample", "samples/s", "over batch 100", "range"]))
    click.echo("\nStep of a replica by the precision of its products:")
    rows = [
        [m.name, f"{1e3 * m.seconds:.2f}", f"{m.ratio:.2f}", _range(m, invert=False)] for m in found["precision"]
    ]
    click.echo(_grid(rows, ["network", "ms per step", "over the default", "range"]))
    click.echo("\nRate of a training step over that of matrix products of the same round, uSF:")
    rows = [
        [m.name, f"{1 / m.seconds:,.0f}", f"{1 / m.ratio:.2f}", _range(m, invert=True)] for m in found["ceiling"]
    ]
    click.echo(_grid(rows, ["network", "GFLOP/s", "share", "range"]))
    where = f"{cores()} cores" if device == "cpu" else f"{device}, stacks of {replicas}"
    click.echo(f"\nTraining throughput over the {found['loops'][0].name}, MNIST network, {where}:")
    click.echo(_table(found["loops"], "times its samples/s", invert=True))


def _paper(device: str, replicas: int, as_json: bool) -> None:
    from asymbp_cli.bench.projection import project

    found = project(device, workers=cores(), replicas=replicas)
    if as_json:
        click.echo(json.dumps([asdict(projection) for projection in found]))
        return
    rows = [[p.table, f"{p.runs:,}", f"{p.petaflop:,.0f}", duration(3600 * p.hours)] for p in found]
    at_once = f"{cores()} workers" if device == "cpu" else f"one at a time in stacks of up to {replicas}"
    click.echo(f"All runs at 65 epochs on {device}, {at_once}, evaluation included:\n")
    click.echo(_grid(rows, ["", "runs", "PFLOP", "time"]))


def _forms(device: str, replicas: int, rounds: int, as_json: bool) -> None:
    from asymbp_cli.bench.forms import BRANCHES, REFERENCE, compare

    _start(device, quiet=as_json)
    found = list(compare(device, replicas=replicas, rounds=rounds))
    if as_json:
        click.echo(json.dumps([asdict(comparison) for comparison in found]))
        return
    rows = [
        ["" if i else layer.layer, m.name, f"{1e3 * m.seconds:.3f}", f"{m.ratio:.2f}", _range(m, invert=False)]
        for layer in found
        for i, m in enumerate(layer.measures)
    ]
    reference = BRANCHES if device.startswith("cuda") else REFERENCE
    one_thread = ", one thread" if device == "cpu" else ""
    click.echo(f"Output and gradients of a layer, {replicas} replicas, batch 100, on {device}{one_thread}:\n")
    click.echo(_grid(rows, ["layer", "form", "ms per replica", f"over {reference}", "range"], texts=2))
    click.echo("\n" + "\n".join(_remarks(found, reference)))


def _remarks(found: "Sequence[Comparison]", reference: str) -> Iterator[str]:
    """Yield what was faster than the reference in every round, and what was not measured and why."""
    faster = [(layer.layer, m) for layer in found for m in layer.measures if m.highest < 1]
    yield f"faster in every round than {reference}:" + ("" if faster else " nothing")
    yield from (f"  {layer}, {m.name}: {m.ratio:.2f}" for layer, m in faster)
    reasons: dict[tuple[str, str], list[str]] = {}
    for layer in found:
        for form, reason in layer.skipped.items():
            reasons.setdefault((form, reason), []).append(layer.layer)
    for (form, reason), layers in reasons.items():
        where = "" if len(layers) == len(found) else f" for {'; '.join(layers)}"
        yield f"not measured{where}: {form} ({reason})"


def _report(as_json: bool) -> None:
    from asymbp_cli.bench.report import measure

    with TemporaryDirectory() as directory:
        found = measure(Path(directory))
    if as_json:
        click.echo(json.dumps(asdict(found)))
        return
    click.echo(
        f"planning and rendering {found.runs:,} runs with {found.epochs:,} epochs: {found.seconds:.2f} s, "
        f"at most {found.peak_mib:.0f} MiB"
    )


def _memory(device: str, replicas: int, as_json: bool) -> None:
    from asymbp_cli.bench import memory

    wanted = memory.candidates(device, list(dict.fromkeys((1, replicas))))
    if not as_json:
        click.echo(f"measuring {len(wanted)} stacks, each in a process of its own", err=True)
    found = list(memory.measure(wanted))
    if as_json:
        click.echo(json.dumps([asdict(m) | {"ratio": m.ratio} for m in found]))
        return
    rows = [
        [f"{m.network}, {m.method}, {m.part}", f"{m.replicas}"]
        + [f"{size / 2**20:,.1f}" for size in (m.predicted, m.measured)]
        + [f"{m.ratio:.2f}", f"{m.kept / 2**20:,.1f}"]
        for m in found
    ]
    click.echo(f"Peak MiB on {device} beyond data and process, batch 100:\n")
    click.echo(_grid(rows, ["", "replicas", "predicted", "measured", "ratio", "with freed buffers"]))


def _table(measures: "Sequence[Measure]", what: str, *, invert: bool) -> str:
    """Return measures as text; inverted ratios say how many times faster than the reference."""
    rows = []
    for m in measures:
        ratio = f"{1 / m.ratio if invert else m.ratio:.2f}"
        rows.append([m.name, f"{1e3 * m.seconds:.2f}", f"{100 / m.seconds:,.0f}", ratio, _range(m, invert=invert)])
    return _grid(rows, ["", "ms per step", "samples/s", what, "range"])


def _range(m: "Measure", *, invert: bool) -> str:
    low, high = (1 / m.highest, 1 / m.lowest) if invert else (m.lowest, m.highest)
    return f"{low:.2f} to {high:.2f}"


def _grid(rows: list[list[str]], header: list[str], *, texts: int = 1) -> str:
    """Return rows under a header; the first `texts` columns hold text, the others numbers."""
    sides = (*["left"] * texts, *["right"] * (len(header) - texts))
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True, colalign=sides)
