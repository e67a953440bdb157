"""The names in a store, read without changing anything: what shells complete."""

from contextlib import closing
from pathlib import Path

from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.results.contents import read_grids
from asymbp_cli.results.database import open_to_read, store_errors


def list_run_ids(directory: Path) -> list[str]:
    """Return the ids of all runs in a results directory, the latest first. Raises StoreError."""
    path = directory / FILE_NAME
    with store_errors(path), closing(open_to_read(path)) as connection:
        return [run_id for (run_id,) in connection.execute("SELECT id FROM runs ORDER BY updated DESC, id")]


def list_grids(directory: Path) -> list[Grid]:
    """Return the tables in a results directory, oldest first. Raises StoreError."""
    path = directory / FILE_NAME
    with store_errors(path), closing(open_to_read(path)) as connection:
        return [stored.grid for stored in read_grids(connection).values()]
