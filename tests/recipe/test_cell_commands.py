"""The command of a cell trains all runs of that cell and no others, whatever recipe or table it came from."""

import shlex
from itertools import product
from pathlib import Path

import pytest
import small_study
import yaml

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.recipe.build import make_recipe_grid, make_table_grid
from asymbp_cli.recipe.cell_commands import write_cell_command
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.recipe.table import load_table

INFO = small_study.INFO
PETS = INFO.model_copy(
    update={
        "key": "folder",
        "label": "my pets",
        "shape": (32, 32, 3),
        "classes": ("cat", "dog"),
        "folder": FolderSource(folder="~/my pets", test_fraction=0.25),
    }
)
RECIPES = {
    "a name": "dataset: digits\nmethod: uSF+BM\nprotocol: demo",
    "changes": "dataset: digits\nmethod: [SGD, NuSF]\nseed: [0, 4]\n"
    "protocol: {extends: quick, epochs: 3, weight_decay: 0}",
    "one seed": "dataset: digits\nmethod: SGD\nseed: 7\nprotocol: matconvnet",
    "spelled out": "dataset: digits\nfeedback: {scheme: brsf, flip_probability: 0.3, scale: fan}\n"
    "batch_norm: plain\nupdate: bm2\ntrain: top\nprotocol: paper",
    "labels": 'dataset: digits\nmethod: [{label: "it\'s: #1 -> $x", method: uSF, protocol: {batch_size: 50}}]\n'
    "protocol: {extends: demo, phases: [{share: 1, factor: 0.1, decay: 0.5}]}",
    "layers": "dataset: digits\nfeedback: [usf, {scheme: noisy, noise: 0.25}]\nprotocol: demo\n"
    "network: {input: 8x8x1, layers: [FC 4, FC 5, FC classes]}",
    "held out": "dataset: digits\nmethod: kp\nprotocol: {extends: demo, validation_fraction: 0.1}\n"
    "network: {input: 9x9x1, layers: [FC 4, FC classes], activation: tanh}",
    "networks": "dataset: digits\nmethod: [SGD, uSF]\nprotocol: demo\n"
    "network: [digits, {input: 8x8x1, layers: [FC 4, FC classes]}]",
    "growing batches": "dataset: digits\nmethod: SGD\n"
    "protocol: {extends: demo, batch_size: [{from_epoch: 1, size: 10}, {from_epoch: 4, size: 50}]}",
}


def rebuild(command: str, info: DecodedDataset) -> Grid:
    """Return the grid that a command asks for."""
    asymbp, verb, option, text, *others = shlex.split(command)
    assert asymbp == "asymbp"
    if verb == "train":
        assert (option, others) == ("--recipe", [])
        return make_recipe_grid(load_recipe(Path(text)), [info])
    assert (verb, option) == ("reproduce", "--table")
    pairs = list(zip(others[::2], others[1::2], strict=True))
    options = dict(pair for pair in pairs if pair[0] != "--set")
    overrides = tuple(value for name, value in pairs if name == "--set")
    protocol, label = load_protocol(options["--protocol"], overrides)
    first, count = int(options.get("--seed", 0)), int(options.get("--seeds", 1))
    assert options["--dataset"] == info.key
    return make_table_grid(*load_table(text), protocol, label, [info], seeds=range(first, first + count))


def check(grid: Grid, info: DecodedDataset) -> None:
    for row, column in product(grid.rows, grid.columns):
        again = rebuild(write_cell_command(grid, row, column), info)
        (same,) = again.columns
        assert same.header == column.header
        wanted = {run.id for run in grid.runs(row, column)}
        assert {run.id for run in again.runs(again.rows[0], same)} == wanted


@pytest.mark.parametrize("name", RECIPES)
def test_a_cell_of_a_recipe(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(RECIPES[name])
    recipe = load_recipe(file)
    (shape,) = {network.input for network in recipe.networks} or {INFO.shape}
    info = INFO.model_copy(update={"shape": shape})
    check(make_recipe_grid(recipe, [info] * (len(recipe.networks) or 1)), info)


@pytest.mark.parametrize("key", ["2", "3", "4-c1", "5", "pfa2024"])
@pytest.mark.parametrize("label", ["quick", "paper with epochs=7"])
def test_a_cell_of_a_table(key: str, label: str) -> None:
    name, _, change = label.partition(" with ")
    protocol, _ = load_protocol(name, (f"protocol.{change}",) if change else ())
    (table,) = load_table(key)
    check(make_table_grid(table, protocol, label, [INFO], seeds=(2, 3)), INFO)


@pytest.mark.parametrize(("seeds", "has_one"), [((1, 3, 7), False), ((3, 1, 2), True), ((7,), True)])
def test_a_cell_of_several_procedures_has_no_command_if_its_seeds_have_gaps(
    seeds: tuple[int, ...], has_one: bool
) -> None:
    """No command names a list of seeds: one that trains those between is not of this cell alone."""
    protocol, label = load_protocol("quick")
    (table,) = load_table("2")
    grid = make_table_grid(table, protocol, label, [INFO], seeds=seeds)
    commands = {column.header: write_cell_command(grid, grid.rows[0], column) for column in grid.columns}
    assert bool(commands.pop("uSF+BM")) == has_one
    assert all(commands.values())
    if has_one:
        check(grid, INFO)


def test_images_are_named_as_they_were() -> None:
    table = load_table("2")[0]
    protocol, label = load_protocol("quick")
    grid = make_table_grid(table, protocol, label, [PETS])
    words = shlex.split(write_cell_command(grid, grid.rows[0], grid.columns[0]))
    assert yaml.safe_load(words[3])["dataset"] == {"folder": "~/my pets", "test_fraction": 0.25}
    old = grid.rows[0].model_copy(update={"folder": None})
    assert "FOLDER" in write_cell_command(grid, old, grid.columns[0])
    missing = old.model_copy(update={"dataset": None})
    assert write_cell_command(grid, missing, grid.columns[0]) == ""


def test_what_stands_in_place_of_a_file_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("dataset: digits\nmethod: uSF\nprotocol: demo\n")
    inline = load_recipe("{dataset: digits, method: uSF, protocol: demo}")
    assert inline == load_recipe(tmp_path / "a.yaml").model_copy(update={"name": "recipe"})


def test_plugins_are_loaded_by_name() -> None:
    grid = small_study.grid("SGD", "uSF")
    entry = grid.columns[1].entries[0]
    feedback = entry.method.feedback.model_copy(update={"scheme": f"wnoise@{'0' * 16}"})
    used = entry.model_copy(update={"method": entry.method.model_copy(update={"feedback": feedback})})
    column = grid.columns[1].model_copy(update={"entries": (used,)})
    for known, end in (({}, " --plugin PLUGIN.py"), ({"0" * 16: "a b.py"}, " --plugin 'a b.py'")):
        command = write_cell_command(grid, grid.rows[0], column, known)
        assert "feedback: wnoise" in command
        assert command.endswith(end)
    assert "--plugin" not in write_cell_command(grid, grid.rows[0], column, {"0" * 16: "a_package"})
