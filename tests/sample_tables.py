"""Small tables with made-up numbers."""

from asymbp_cli.analysis.tables import FilledGrid, fill_grid
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.build import make_column
from asymbp_cli.recipe.grid import Grid, GridRow
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol

METHODS = ("SGD", "BN", "uSF", "NuSF", "uSF+BN+BM")
PAPER = dict(zip((("MNIST", name) for name in METHODS), (1.0, 2.0, 3.0, 4.0, 90.0), strict=True))


def make_grid(*methods: str, **protocol: object) -> Grid:
    settings = Protocol.model_validate({"rate_multipliers": [1.0, 0.1], **protocol})
    columns = [
        make_column(name, [Procedure(method=parse_method(name), protocol=settings)], settings) for name in methods
    ]
    row = GridRow(
        label="MNIST",
        key="mnist",
        paper_name="MNIST",
        exact=True,
        dataset="f",
        network=NETWORKS["mnist"].resolve(10),
    )
    return Grid(
        key="table-2",
        title="Title",
        columns=tuple(columns),
        rows=(row,),
        baseline=columns[0],
        protocol_label="quick",
    )


def train_last_column_longer(grid: Grid) -> Grid:
    """Return a grid whose last column trains for other epochs than the baseline."""
    column = grid.columns[-1]
    (entry,) = column.entries
    longer = entry.model_copy(update={"protocol": entry.protocol.model_copy(update={"epochs": 99})})
    columns = (*grid.columns[:-1], column.model_copy(update={"entries": (longer,)}))
    return grid.model_copy(update={"columns": columns})


def make_epoch(run: str, epoch: int, wrong: int, **changes: object) -> EpochEnded:
    values = {
        "run": run,
        "epoch": epoch,
        "rate": 1e-3,
        "train_loss": 0.1,
        "train_wrong": 0,
        "train_seen": 100,
        "test_loss": 0.1,
        "test_wrong": wrong,
        "test_seen": 1000,
        "validation_wrong": None,
        "validation_seen": None,
        "one_class": False,
        "diverged": False,
        "seconds": 1.0,
    }
    return EpochEnded(**values | changes)  # type: ignore[arg-type]


def filled(*percents: float | None, exact: bool = True, label: str = "quick") -> FilledGrid:
    """Return the grid of METHODS with these errors; a cell of None is not done."""
    grid: Grid = make_grid(*METHODS).model_copy(update={"protocol_label": label})
    grid = grid.model_copy(update={"rows": (grid.rows[0].model_copy(update={"exact": exact}),)})
    epochs, states = {}, {}
    for column, percent in zip(grid.columns, percents, strict=True):
        for run in grid.runs(grid.rows[0], column):
            if percent is not None:
                epochs[run.id] = [make_epoch(run.id, 1, round(percent * 10))]
                states[run.id] = "finished"
    return fill_grid(grid, epochs, states, PAPER)


def seeded(count: int = 3) -> FilledGrid:
    """Return two methods with so many seeds: SGD 10, 14, 12, 11 and 13 %, uSF 15, 20, 17, 18 and 16 %."""
    grid = make_grid("SGD", "uSF").model_copy(update={"seeds": tuple(range(count))})
    wrong = {"SGD": (100, 140, 120, 110, 130), "uSF": (150, 200, 170, 180, 160)}
    epochs = {
        run.id: [make_epoch(run.id, 1, wrong[column.header][run.seed]), make_epoch(run.id, 2, 300)]
        for column in grid.columns
        for run in grid.runs(grid.rows[0], column)
    }
    return fill_grid(
        grid, epochs, dict.fromkeys(epochs, "finished"), {("MNIST", "SGD"): 1.0, ("MNIST", "uSF"): 9.0}
    )
