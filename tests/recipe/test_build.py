"""Building grids from recipes and tables: rows, columns, and their notes."""

from pathlib import Path

import pytest
import small_study

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.build import check_distinct, make_column, make_recipe_grid, make_row, make_table_grid
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.procedure import Procedure, describe_field
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.table import load_table
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Phase, Protocol

VECTORS = small_study.INFO.model_copy(update={"key": "timit80", "label": "TIMIT", "shape": (1845,)})


def test_a_row_resolves_the_network_for_its_classes() -> None:
    info = DecodedDataset(
        key="folder", label="pets", paper_name=None, exact=False, classes=("cat", "dog"), shape=(119, 119, 3),
        train_count=10, test_count=4, fingerprint="0", directory="/nowhere",
    )  # fmt: skip
    assert make_row(info, None).network.layers[-3:] == ("FC 256", "FC 4", "FC 2")
    mine = Network(input=(119, 119, 3), layers=("FC classes",))
    assert make_row(info, mine).network.layers == ("FC 2",)


def test_the_paper_is_compared_with_its_own_network_only() -> None:
    info = DecodedDataset(
        key="mnist", label="MNIST", paper_name="MNIST", exact=True, classes=tuple("0123456789"), shape=(28, 28, 1),
        train_count=60_000, test_count=10_000, fingerprint="0", directory="/nowhere",
    )  # fmt: skip
    assert make_row(info, None).paper_name == make_row(info, NETWORKS["mnist"]).paper_name == "MNIST"
    other = make_row(info, Network(input=(28, 28, 1), layers=("FC classes",)))
    assert other.paper_name is None
    assert "FC 10" in other.note


def test_all_layers_but_the_only_one_cannot_be_trained(tmp_path: Path) -> None:
    text = (
        "dataset: digits\nnetwork: {input: 8x8x1, layers: [FC classes]}\nmethod: [SGD, METHOD]\nprotocol: demo\n"
    )
    for method in ("uSF Top", "uSF Bottom"):
        (tmp_path / "one.yaml").write_text(text.replace("METHOD", method))
        recipe = load_recipe(tmp_path / "one.yaml")
        if method == "uSF Top":
            assert len(make_recipe_grid(recipe, [small_study.INFO]).all_runs()) == 10
        else:
            with pytest.raises(
                UsageError, match=r'"uSF Bottom" trains all layers but the last, and the network of'
            ):
                make_recipe_grid(recipe, [small_study.INFO])


@pytest.mark.parametrize(
    ("method", "layers", "size", "refused"),
    [
        ("uSF+BN", "[FC 4, FC classes]", "1", 1),
        ("uSF+BN", "[Conv 3x3x2/1, FC 4, FC classes]", "[{from_epoch: 1, size: 9}, {from_epoch: 2, size: 1}]", 2),
        ("uSF+BN", "[Conv 8x8x2/1, FC classes]", "1", 1),  # one value of each feature
        ("uSF+BN", "[Conv 3x3x2/1, FC classes]", "1", 0),  # 36 values
        ("uSF+BN", "[FC 4, FC classes]", "2", 0),
        ("uSF", "[FC 4, FC classes]", "1", 0),
    ],
)
def test_single_samples_cannot_be_normalized(
    tmp_path: Path, method: str, layers: str, size: str, refused: int
) -> None:
    (tmp_path / "one.yaml").write_text(
        f"dataset: digits\nnetwork: {{input: 8x8x1, layers: {layers}}}\nmethod: [SGD, {method}]\n"
        f"protocol: {{extends: demo, batch_size: {size}}}\n"
    )
    recipe = load_recipe(tmp_path / "one.yaml")
    if not refused:
        assert len(make_recipe_grid(recipe, [small_study.INFO]).all_runs()) == 10
        return
    with pytest.raises(UsageError, match=rf'"uSF\+BN" has batch_size 1, .* makes 0 after layer {refused} of'):
        make_recipe_grid(recipe, [small_study.INFO])


@pytest.mark.parametrize(
    ("choices", "size", "refused"),
    [
        ("crop_padding: 7", "8x8x1", ""),
        (
            "crop_padding: 8",
            "8x8x1",
            '"moved" has crop_padding 8, and images of digits have 8x8 pixels: some crops',
        ),
        ("crop_padding: 5", "9x5x1", "have 9x5 pixels: some crops would be black. Write less than 5"),
        (
            "horizontal_flip: true",
            "",
            '"moved" crops or flips images, and TIMIT has vectors. Write crop_padding: 0',
        ),
        ("crop_padding: 0", "", ""),
    ],
)
def test_only_images_are_augmented(tmp_path: Path, choices: str, size: str, refused: str) -> None:
    data, info = ("digits", small_study.INFO) if size else ("timit80", VECTORS)
    network = f"network: {{input: {size}, layers: [FC 4, FC classes]}}\n" if size else ""
    (tmp_path / "moved.yaml").write_text(
        f"dataset: {data}\n{network}protocol: demo\n"
        f"method: [SGD, {{label: moved, method: uSF, protocol: {{{choices}}}}}]\n"
    )
    recipe = load_recipe(tmp_path / "moved.yaml")
    if not refused:
        assert len(make_recipe_grid(recipe, [info]).all_runs()) == 10
        return
    with pytest.raises(UsageError, match=refused):
        make_recipe_grid(recipe, [info])


@pytest.mark.parametrize(("keys", "models"), [(("2", "3", "4", "5"), 36), (("2", "3", "4"), 32)])
def test_the_tables_ask_for_as_many_trainings_as_the_paper_made(keys: tuple[str, ...], models: int) -> None:
    """36 models on six datasets and 32 on nine, five rates each: 2,520 trainings."""
    tables = [table for key in keys for table in load_table(key)]
    grids = [make_table_grid(table, Protocol(), "paper", [small_study.INFO]) for table in tables]
    runs = {run_id for grid in grids for run_id in grid.all_runs()}
    assert len(runs) == models * 5


def test_the_baseline_of_a_table_is_trained_even_where_it_is_no_column() -> None:
    (table,) = load_table("4-c2")
    grid = make_table_grid(table, Protocol(), "paper", [small_study.INFO])
    assert grid.baseline is not None
    assert (grid.key, grid.baseline.header) == ("table-4-c2", "SGD")
    assert grid.baseline not in grid.columns
    baseline = grid.runs(grid.rows[0], grid.baseline)
    assert {run.method for run in baseline} == {parse_method("SGD")}
    assert {run.id for run in baseline} < set(grid.all_runs())


def test_a_recipe_makes_a_grid_of_its_methods_and_seeds() -> None:
    recipe = load_recipe(recipes_directory() / "examples" / "grid.yaml")
    grid = make_recipe_grid(recipe, [small_study.INFO])
    assert grid.key == "recipe-grid"
    assert [column.header for column in grid.columns] == [entry.label for entry in recipe.methods]
    assert grid.baseline == grid.columns[0]
    runs = len(recipe.methods) * len(recipe.seeds) * len(recipe.protocol.rate_multipliers)
    assert len(grid.all_runs()) == runs
    assert grid.protocol_label == recipe.protocol_label


def test_both_procedures_of_usf_bm_are_described_whatever_batch_size_is_set() -> None:
    (table,) = load_table("2")
    grid = make_table_grid(table, Protocol(batch_size=50), "paper with batch_size=50", [small_study.INFO])
    notes = {column.header: column.note for column in grid.columns if column.note}
    ways = "as the protocol says; or batch_size 100 from epoch 1, 500 from epoch 4"
    assert notes == {"uSF+BM": f"the better of 2 procedures: {ways}"}
    assert all(column.paper_name == column.header for column in grid.columns)


@pytest.mark.parametrize(
    ("protocol", "grows"), [("paper", 4), ("demo", 4), ("quick", 3), ("matconvnet", 4), ("matconvnet-quick", 3)]
)
def test_the_second_procedure_of_usf_bm_never_grows_when_the_rate_drops(protocol: str, grows: int) -> None:
    (table,) = load_table("2")
    (column,) = [column for column in table.columns if column.header == "uSF+BM"]
    _, second = (variant.under(load_protocol(protocol)[0]).protocol for variant in column.variants)
    sizes = [second.samples_per_batch(epoch) for epoch in range(1, second.epochs + 1)]
    assert sizes == [100] * (grows - 1) + [500] * (second.epochs - grows + 1)
    assert second.rate(grows) == second.rate(grows - 1)


def test_the_name_of_a_recipe_cannot_hide_a_table() -> None:
    recipe = load_recipe(recipes_directory() / "examples" / "grid.yaml").model_copy(update={"name": "table-2"})
    grid = make_recipe_grid(recipe, [small_study.INFO])
    assert grid.key == "recipe-table-2"


def test_two_rows_of_one_name_are_refused() -> None:
    check_distinct(["MNIST", "digits"], "datasets")
    with pytest.raises(UsageError, match='two datasets are called "MNIST"'):
        check_distinct(["MNIST", "digits", "MNIST"], "datasets")


def test_other_phases_are_described_by_their_epochs_rates_and_weight_decay() -> None:
    base = Protocol(epochs=4, base_rate=0.01, weight_decay=1e-3, phases=(Phase(share=1, factor=1),))
    phases = (Phase(share=1, factor=1, decay=300), Phase(share=3, factor=0.5))
    other = base.model_copy(update={"phases": phases, "rate_multipliers": (1.0, 0.1)})
    column = make_column("x", [Procedure(method=parse_method("uSF"), protocol=other)], base)
    described = "1 epoch at 0.01 with weight decay 0.3, 3 epochs at 0.005 with weight decay 0.001"
    assert column.note == f"phases {described}, rate_multipliers 1, 0.1"
    assert describe_field(other, "phases") == described
    assert [describe_field(base, name) for name in ("phases", "measure")] == ["4 epochs at 0.01", "none"]
    assert [describe_field(Protocol(nesterov=on), "nesterov") for on in (True, False)] == ["true", "false"]


def test_procedures_that_are_the_same_are_one() -> None:
    """Their runs would count twice."""
    own = Procedure(method=parse_method("uSF"), protocol=Protocol())
    other = own.model_copy(update={"protocol": Protocol(batch_size=500)})
    assert make_column("one", [own, own], own.protocol) == make_column("one", [own], own.protocol)
    assert make_column("two", [own, other, own], own.protocol).entries == (own, other)


def test_a_cell_of_two_methods_stands_for_neither() -> None:
    protocol = Protocol()
    usf, sgd = (Procedure(method=parse_method(name), protocol=protocol) for name in ("uSF", "SGD"))
    mixed = make_column("mine", [usf, sgd], protocol)
    assert mixed.paper_name is None
    assert mixed.note == "the better of 2 procedures: uSF, as the protocol says; or SGD, as the protocol says"
    changed = Procedure(method=usf.method, protocol=protocol.model_copy(update={"weight_decay": 0.0}))
    twice = make_column("twice", [usf, changed], protocol)
    assert (twice.paper_name, twice.note) == (
        "uSF",
        "the better of 2 procedures: as the protocol says; or weight_decay 0",
    )
    assert (make_column("uSF", [usf], protocol).paper_name, make_column("uSF", [usf], protocol).note) == (
        "uSF",
        "",
    )


@pytest.mark.parametrize(
    ("method", "note"),
    [
        ("uSF+BM1", ""),
        ("{label: mine, method: uSF+BN}", "uSF+BN"),
        ("{label: SGD, method: BM}", "BM"),
        ("{label: SGD, method: SGD}", ""),
        ("{label: mine, feedback: usf, update: bm2, protocol: {weight_decay: 0}}", "uSF+BM2, weight_decay 0"),
    ],
)
def test_a_label_of_the_users_own_is_explained_by_its_method(method: str, note: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(f"dataset: digits\nmethod: [{method}]\nprotocol: demo\n")
    (column,) = make_recipe_grid(load_recipe(tmp_path / "r.yaml"), [small_study.INFO]).columns
    assert column.note == note
