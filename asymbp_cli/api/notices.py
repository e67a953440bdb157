"""What users are told beside the tables: by commands in a line, from Python as a warning."""

from collections.abc import Iterable, Sequence

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.networks import describe_channels
from asymbp_cli.results.changed_plugins import find_changed_plugins
from asymbp_cli.results.store import Store
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.runs import Run
from asymbp_cli.text import count
from asymbp_cli.training.weight_files import read_kept, weights_directory

_AGAIN = "No run is trained twice here. To get them, train into another directory with --results DIR"


def explain_channels(infos: Iterable[DecodedDataset]) -> list[str]:
    """Return a message for each dataset whose images have more or fewer channels than the network."""
    told = (f"{info.label}: {text}" for info in infos if (text := describe_channels(info)))
    return list(dict.fromkeys(told))


def explain_changed_plugins(runs: Iterable[Run], store: Store) -> list[str]:
    """Return a message for each plugin of `runs` of which the store has results of another version."""
    return [
        f"results in {store.directory}/ were made with another version of {plugin.name}, or with another plugin "
        "of these names. They stay under their own ids. With this one the runs are others, and start anew"
        for plugin in find_changed_plugins(runs, store.grids())
    ]


def explain_missing_weights(grids: Sequence[Grid], store: Store, which: WhichWeights | None) -> list[str]:
    """Return messages on runs that ended without the weights that are asked for, or with those of other epochs.

    A run that diverged never had a last one to keep, nor a best one if no epoch of it was finite.
    """
    if which is None:
        return []
    directory, states = weights_directory(store.directory), store.states()
    ended = {run_id for grid in grids for run_id in grid.all_runs() if run_id in states}
    kept = {run_id: read_kept(directory, run_id) for run_id in ended}
    missing = {run_id for run_id, found in kept.items() if found is None}
    diverged = {run_id for run_id in missing if states[run_id] == "diverged"}
    missing -= diverged
    if which == "best":
        histories = store.epochs(diverged)
        missing |= {run_id for run_id, epochs in histories.items() if not all(epoch.diverged for epoch in epochs)}
    others = {run_id: found[1] for run_id, found in kept.items() if found and found[0] != which}
    wanted = {run_id: _find_epoch(epochs, which) for run_id, epochs in store.epochs(others).items()}
    others = {run_id: epoch for run_id, epoch in others.items() if epoch != wanted.get(run_id)}
    messages = []
    if missing:
        messages.append(
            f"{count(len(missing), 'run')} had ended before, without --keep-weights or in other results, and "
            f"{'has' if len(missing) == 1 else 'have'} no weights in {directory}/. {_AGAIN}"
        )
    if others:
        messages.append(
            f"{count(len(others), 'run')} had ended before, with the weights of another epoch than the {which} "
            f"one. {_AGAIN}"
        )
    return messages


def _find_epoch(epochs: Iterable[EpochEnded], which: WhichWeights) -> int | None:
    """Return the epoch whose weights are the best or the last of a run that has ended."""
    finite = [epoch for epoch in epochs if not epoch.diverged]
    found = finite[-1] if finite and which == "last" else min(finite, key=lambda one: one.criterion, default=None)
    return found.epoch if found else None
