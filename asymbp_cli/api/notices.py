"""What users are told beside the tables: by commands in a line, from Python as a warning."""

from collections.abc import Iterable, Sequence

from asymbp_cli.files.paths import is_file
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.results.changed_plugins import find_changed_plugins
from asymbp_cli.results.store import Store
from asymbp_cli.specs.modules import WhichWeights
from asymbp_cli.specs.runs import Run
from asymbp_cli.training.weight_files import weights_directory, weights_path


def explain_changed_plugins(runs: Iterable[Run], store: Store) -> list[str]:
    """Return a message for each plugin of `runs` of which the store has results of another version."""
    return [
        f"results in {store.directory}/ were made with another version of {plugin.name}, or with another plugin "
        "of these names. They stay under their own ids. With this one the runs are others, and start anew"
        for plugin in find_changed_plugins(runs, store.grids())
    ]


def explain_missing_weights(grids: Sequence[Grid], store: Store, which: WhichWeights | None) -> list[str]:
    """Return a message if runs have no weights, because they had ended before anybody asked for them.

    A run that diverged never had a last one to keep, nor a best one if no epoch of it was finite.
    """
    if which is None:
        return []
    directory, states = weights_directory(store.directory), store.states()
    ended = {run_id for grid in grids for run_id in grid.all_runs() if run_id in states}
    missing = {run_id for run_id in ended if not is_file(weights_path(directory, run_id))}
    diverged = {run_id for run_id in missing if states[run_id] == "diverged"}
    missing -= diverged
    if which == "best":
        histories = store.epochs(diverged)
        missing |= {run_id for run_id, epochs in histories.items() if not all(epoch.diverged for epoch in epochs)}
    if not missing:
        return []
    return [
        f"{len(missing)} of these runs had ended before, without --keep-weights, and have no weights. No run is "
        "trained twice here. To get them, train into another directory with --results DIR"
    ]
