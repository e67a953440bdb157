"""Tables of results as Python users get them: markdown when printed, records, a frame of pandas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from typing import Any

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.errors import UsageError
from asymbp_cli.report.markdown import render_table
from asymbp_cli.report.records import make_records
from asymbp_cli.report.result_table import make_result_table


@dataclass(frozen=True)
class Table:
    """A table of results; `filled` has its grid and cells."""

    filled: FilledGrid

    def __str__(self) -> str:
        return render_table(make_result_table(self.filled)).strip()

    def _repr_markdown_(self) -> str:
        """Return the HTML that a notebook shows."""
        return str(self)

    def to_records(self) -> list[dict[str, Any]]:
        """Return a record for each cell and seed, as `asymbp report --to csv` does."""
        return make_records([self.filled])[0]

    def to_pandas(self) -> Any:
        """Return the records as a `pandas.DataFrame`; raises UsageError if pandas is not installed."""
        return _make_frame(self.to_records())


@dataclass(frozen=True)
class Results:
    """What a study found: its tables, and why runs failed, by id."""

    tables: tuple[Table, ...]
    failed: Mapping[str, str]

    @property
    def table(self) -> Table:
        """Return the only table; raises UsageError if there are several."""
        if len(self.tables) != 1:
            titles = ", ".join(f'"{table.filled.grid.title}"' for table in self.tables)
            raise UsageError(f"there are {len(self.tables)} tables: {titles}. Choose one of results.tables")
        return self.tables[0]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.tables))

    def _repr_markdown_(self) -> str:
        """Return the HTML that a notebook shows."""
        return str(self)

    def to_records(self) -> list[dict[str, Any]]:
        """Return a record for each cell and seed of every table."""
        return list(chain.from_iterable(make_records([table.filled for table in self.tables])))

    def to_pandas(self) -> Any:
        """Return the records as a `pandas.DataFrame`; raises UsageError if pandas is not installed."""
        return _make_frame(self.to_records())


def _make_frame(records: Sequence[Mapping[str, Any]]) -> Any:
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise UsageError("pandas is not installed. pip install pandas, or use to_records()") from error
    return pandas.DataFrame.from_records(records)
