"""Plugins that have changed since results were made with them."""

from collections.abc import Iterable

from asymbp_cli.recipe.grid import Grid
from asymbp_cli.specs.references import Plugin, without_hashes
from asymbp_cli.specs.runs import Run, find_plugins


def find_changed_plugins(runs: Iterable[Run], stored: Iterable[Grid]) -> tuple[Plugin, ...]:
    """Return the plugins of `runs` of which stored tables have the same runs with another version."""
    wanted = [run for run in runs if run.references]
    if not wanted:
        return ()
    known = {run_id: run for grid in stored for run_id, run in grid.all_runs().items() if run.references}
    others = known.keys() - {run.id for run in wanted}
    earlier = {without_hashes(known[run_id].model_dump_json()) for run_id in others}
    return find_plugins(run for run in wanted if without_hashes(run.model_dump_json()) in earlier)
