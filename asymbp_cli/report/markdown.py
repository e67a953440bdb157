"""Sheets as GitHub-flavoured markdown."""

from tabulate import tabulate

from asymbp_cli.report.sheet import Sheet, number, spread
from asymbp_cli.tables import Cell

_SIGNS = {"worse": " 🟨", "better": " 🟦", None: ""}


def render(sheet: Sheet) -> str:
    """Return the table with the paper's row below ours where the paper has one, and the notes as a list."""
    lines: list[list[str]] = []
    for label, cells in sheet.rows:
        lines.append([label, *(_own(cell) for cell in cells)])
        if any(cell.paper is not None for cell in cells):
            lines.append([f"{label} (paper)", *(_paper(cell) for cell in cells)])
    header = ["", *sheet.header]
    align = ["left", *("right" for _ in sheet.header)]
    table = tabulate(lines, header, tablefmt="pipe", disable_numparse=True, colalign=align)
    return f"## {sheet.title}\n\n{table}\n\n" + "\n".join(f"- {note}" for note in sheet.notes) + "\n"


def _own(cell: Cell) -> str:
    text = " ".join(filter(None, (number(cell), spread(cell) and f"({spread(cell)})")))
    return text.replace("*", "\\*").replace("~", "\\~") + _SIGNS[cell.colour]


def _paper(cell: Cell) -> str:
    return "-" if cell.paper is None else f"*{cell.paper:.2f}*{_SIGNS[cell.paper_colour]}"
