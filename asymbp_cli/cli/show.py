"""`asymbp show`."""

import datetime
from pathlib import Path

import click
import yaml
from tabulate import tabulate

from asymbp_cli.cli import options


@click.command("show")
@click.argument("run")
@options.results
def command(run: str, results_directory: Path) -> None:
    """Show one run: what it is, how it went, what it ran on. RUN is the beginning of its id (asymbp ls runs).

    \b
    Example:
      asymbp show 3f2a
    """
    from asymbp_cli.results.store import Store

    with Store.open(results_directory, create=False) as store:
        detail = store.run(run)
    summary = detail.summary
    click.echo(f"run {summary.id}: {summary.method} x{summary.rate_multiplier:g} on {summary.dataset}")
    best = summary.best
    error = f", best test error {summary.best_percent:.2f} % in epoch {best[2]}" if best else ""
    click.echo(f"state: {summary.progress}{error}\n")
    click.echo(yaml.safe_dump(detail.run.model_dump(mode="json"), sort_keys=False))
    for attempt in detail.attempts:
        began = f"{datetime.datetime.fromtimestamp(attempt.started):%Y-%m-%d %H:%M:%S}"
        click.echo(
            f"attempt {began} from epoch {attempt.start_epoch}: {attempt.outcome or 'running'}, "
            f"{attempt.device} on {attempt.host}, {', '.join(f'{k} {v}' for k, v in attempt.software.items())}"
            + (f", checkout {attempt.git}" if attempt.git else "")
        )
        if attempt.message:
            click.echo(f"  {attempt.message}")
    rows = [
        [
            e.epoch,
            f"{e.rate:.3g}",
            f"{e.train_loss:.4f}",
            f"{100 * e.train_wrong / e.train_seen:.2f}" if e.train_seen else "-",
            f"{e.test_loss:.4f}",
            f"{100 * e.test_wrong / e.test_seen:.2f}",
            f"{e.seconds:.1f}",
        ]
        for e in detail.epochs
    ]
    header = ["epoch", "rate", "train loss", "train error %", "test loss", "test error %", "seconds"]
    click.echo("\n" + tabulate(rows, header, tablefmt="simple", disable_numparse=True, stralign="right"))
