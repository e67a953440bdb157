"""A report of made-up numbers with everything in it that a renderer must cope with."""

from asymbp_cli.analysis.cells import Cell, Colour, Pick
from asymbp_cli.analysis.uncertainty import Difference
from asymbp_cli.recipe.table import load_reference
from asymbp_cli.report.charts.chart import Chart, KeyEntry, Panel, Series, make_error_axis, make_linear_axis
from asymbp_cli.report.document import Document, Figure, Listing
from asymbp_cli.report.result_table import ResultTable

HOSTILE = "<script>alert('1')</script> \"quoted\" <img src=x onerror=alert(2)> & {{ 7 * 7 }} שלום \u202eevil"
HEADER = ("SGD", "uSF", "<b>BN</b>", "brSF-25%+BN+BM")


def cell(
    wrong: int,
    *,
    paper: float | None = None,
    colour: Colour | None = None,
    paper_colour: Colour | None = None,
    collapsed: bool = False,
    diverged: int = 0,
    ended: int = 5,
) -> Cell:
    """Return a cell of one seed: `wrong` of 10,000, so that 123 is 1.23 percent."""
    pick = Pick(seed=0, run="0a1b2c3d", rate_multiplier=0.1, epoch=4, wrong=wrong, seen=10000, collapsed=collapsed)
    return Cell((pick,), ended, 5, diverged, paper, colour, paper_colour)


def seeds(*wrong: int) -> Cell:
    """Return a cell of several seeds, best first."""
    picks = (Pick(i, f"run{i}", 1.0, 2, count, 10000, False) for i, count in enumerate(wrong))
    return Cell(tuple(picks), ended=15, wanted=15)


def unsure(wrong: int, points: float, colour: Colour | None) -> Cell:
    """Return a cell whose colour is hollow, as the paper's is; its last epoch and the held-out rule are worse."""
    pick = Pick(0, "0a1b2c3d", 0.1, 4, wrong, 340, collapsed=False, last_epoch=5, last_wrong=wrong + 17)
    difference = Difference(points, test_error=points)
    return Cell((pick,), 5, 5, 0, 33.0, colour, colour, "", difference, difference, rule_difference=1.25)


MISSING = Cell(wanted=5, ended=2, paper=0.55, reason="not run yet")
WITH_PAPER = ResultTable(
    title="Table 2 (Exp. A). Signs",
    header=HEADER,
    rows=(
        (
            "MNIST",
            (
                cell(83, paper=0.67),
                cell(8865, paper=88.65, colour="worse", paper_colour="worse", collapsed=True, diverged=3),
                cell(65, paper=0.52, ended=4),
                MISSING,
            ),
        ),
        (
            "CIFAR",
            (
                cell(2301, paper=22.73),
                cell(9000, paper=90.0, colour="worse", paper_colour="worse"),
                cell(1712, paper=16.75, colour="better", paper_colour="better"),
                cell(1712, colour="better"),
            ),
        ),
        ("digits", (cell(139), cell(222), cell(1000, colour="worse"), cell(56))),
    ),
    notes=("Test error in percent.", "`=` collapsed; `*` diverged."),
)
UNSURE = ResultTable(
    "Few images",
    ("SGD", "NuSF", "brSF+BN+BM"),
    (("Flowers17", (unsure(119, 0.0, None), unsure(136, 5.0, "worse"), unsure(102, -5.0, "better"))),),
    ("Hollow.",),
)
HOSTILE_TABLE = ResultTable(
    title=HOSTILE,
    header=("SGD", HOSTILE),
    rows=((HOSTILE, (seeds(94, 100, 121), Cell(reason="dataset not available"))),),
    notes=(HOSTILE,),
)
LISTING = Listing(
    title="Provenance",
    header=("what", "value", "count"),
    rows=(
        ("command", "`asymbp reproduce --table 2 --data-dir /a/b_c/d`", "1,437"),
        ("lone ` backtick", HOSTILE, "-"),
    ),
    notes=("A `note`.",),
)
CHART = Chart(
    panels=(
        Panel("uSF", "2 % in epoch 2", (Series("ours", [1, 2], [3.0, 2.0], label="a < b"),), (("papers", 2.5),)),
        Panel(HOSTILE, "falls", (Series("ours", [1, 2], [4.0, 3.0], marker="dot"),)),
    ),
    x=make_linear_axis(1, 2, "epoch", whole=True),
    y=make_error_axis([2.0, 4.0]),
    key=(KeyEntry("ours", HOSTILE),),
)
FIGURE = Figure("curves", "Errors of `uSF` by epoch. More words.", 'Two "falling" lines', CHART)
FOLDED = Listing("Details", ("x", "y"), (("a", "1"),), folded=True)
DOCUMENT = Document(
    title="How important is <symmetry>?",
    introduction="Ours above the paper's; type `asymbp report`.",
    blocks=(WITH_PAPER, HOSTILE_TABLE, FIGURE, FIGURE, LISTING),
    summary=("Trained: 3 runs.", f"Names: {HOSTILE}"),
)


def wide_table(rows: int = 15, columns: int = 11) -> ResultTable:
    """Return a table of the paper's size and more."""
    lines = tuple(
        (f"Dataset {i}", tuple(cell(8000 + 100 * i + j, paper=88.88, diverged=1) for j in range(columns)))
        for i in range(rows)
    )
    return ResultTable("A wide table", tuple(f"brSF-{i}%+BN+BM" for i in range(columns)), lines, ())


def many_columns(text: str = "+10.43") -> Listing:
    """Return a listing with as many columns as the differences and the intervals of Table 2."""
    names = list(dict.fromkeys(column for _, column in load_reference("table2.csv")))
    rows = tuple((f"Dataset {i}", *(text for _ in names)) for i in range(15))
    return Listing("Differences", ("ours minus the paper's, points", *names), rows)
