"""From a number to its command: which run, rate and epoch a cell was picked from, and what trains it alone."""

from asymbp_cli.recipe.cell_commands import NO_COMMAND
from asymbp_cli.report.cells import format_error
from asymbp_cli.report.document import Listing
from asymbp_cli.report.result_table import ResultTable


def list_commands(table: ResultTable) -> Listing:
    """Return a line for each cell with a number; none if no cell has a command.

    With an even number of seeds two runs are in the middle, and the number is the mean of theirs.
    """
    rows = tuple(
        (
            label,
            header,
            format_error(cell),
            ", ".join(pick.run for pick in cell.middle),
            ", ".join(f"{pick.rate_multiplier:g}" for pick in cell.middle),
            ", ".join(f"{pick.epoch}" for pick in cell.middle),
            f"`{cell.command}`" if cell.command else "-",
        )
        for label, cells in table.rows
        for header, cell in zip(table.header, cells, strict=True)
        if cell.picks
    )
    header = ("dataset", "column", "error %", "run", "rate x", "epoch", "command")
    commands = {row[-1] for row in rows}
    notes = (f"`-`: {NO_COMMAND}.",) if "-" in commands else ()
    return Listing("From a number to its command", header, rows if commands - {"-"} else (), notes)
