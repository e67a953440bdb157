"""The paper's tables as data: columns as in the reference files, 504 models, and tables of a user's own."""

import csv
from pathlib import Path

import pytest

from asymbp_cli.datasets.catalog import CATALOG, PAPER_ROWS
from asymbp_cli.errors import RecipeError, UsageError
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.table import TableSpec, load_published, load_reference, load_table
from asymbp_cli.specs.methods import PAPER_METHODS, Method, method_name, parse_method
from asymbp_cli.specs.protocol import Protocol

ERRORS = [table for table in load_table("all") if table.kind == "errors"]
TABLE_5_SETS = ["mnist", "cifar10", "cifar100", "svhn", "stl10", "caltech101"]


def by_key(table: TableSpec) -> str:
    return table.key


def csv_rows(table: TableSpec) -> list[list[str]]:
    assert table.reference
    with (recipes_directory() / "reference" / table.reference).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_keys() -> None:
    assert [table.key for table in load_table("all")] == ["1", "2", "3", "4-c1", "4-c2", "5"]
    assert [table.key for table in load_table("4")] == ["4-c1", "4-c2"]
    for key in ("2", "table2", "Table-2"):
        assert [table.key for table in load_table(key)] == ["2"]
    assert [table.key for table in load_table("4-C2")] == ["4-c2"]
    assert [(table.kind, table.columns) for table in load_table("1")] == [("networks", ())]
    assert set(NETWORKS) > {"large", "mnist", "cifar", "svhn", "timit"}


@pytest.mark.parametrize("table", ERRORS, ids=by_key)
def test_columns_and_rows_are_those_of_the_paper(table: TableSpec) -> None:
    header, *rows = csv_rows(table)
    assert [column.header for column in table.columns] == header[1:]
    assert [PAPER_ROWS[row[0]] for row in rows] == list(table.datasets)
    assert list(table.datasets) == (TABLE_5_SETS if table.key == "5" else list(PAPER_ROWS.values()))
    assert table.baseline == "SGD"
    assert ("SGD" in header) == (table.key != "4-c2")


def test_the_papers_rows_have_the_catalogs_names() -> None:
    assert len(PAPER_ROWS) == len(set(PAPER_ROWS.values())) == 15
    for key, dataset in CATALOG.items():
        assert dataset.paper_name is None or PAPER_ROWS[dataset.paper_name] == key
    assert {"mnist", "cifar10"} <= set(CATALOG)


@pytest.mark.parametrize("table", ERRORS, ids=by_key)
def test_a_header_names_its_method(table: TableSpec) -> None:
    """Three things stand between header and method: BM1 is BM, and Table 3's p columns are with BN and BM."""
    for column in table.columns:
        (method,) = {variant.method for variant in column.variants}
        name = column.header.replace("BM1", "BM")
        assert method == parse_method(f"{name}+BN+BM" if name.endswith("%") else name)


def test_the_p_columns_are_opposite_signs() -> None:
    (table,) = load_table("3")
    flips = {column.header: column.variants[0].method.feedback.flip_probability for column in table.columns}
    for scheme in ("brSF", "frSF"):
        assert [flips[f"{scheme}-{p}%"] for p in (100, 75, 50, 25)] == [1.0, 0.75, 0.5, 0.25]
        assert flips[f"{scheme}+BN+BM"] == 0


def test_usf_bm_was_run_with_two_procedures_and_nothing_else_was() -> None:
    columns = [(table.key, column) for table in ERRORS for column in table.columns]
    double = [(key, column.header) for key, column in columns if len(column.variants) > 1]
    assert double == [("2", "uSF+BM")]
    (table,) = load_table("2")
    (column,) = (column for column in table.columns if column.header == "uSF+BM")
    first, second = (variant.under(Protocol()).protocol for variant in column.variants)
    assert first == Protocol()
    assert [second.samples_per_batch(epoch) for epoch in (1, 2, 3, 4, 65)] == [100, 100, 100, 500, 500]
    assert second.model_copy(update={"batch_size": 100}) == Protocol()


def test_36_models_on_six_datasets_and_32_on_nine_make_504() -> None:
    models: dict[str, set[tuple[Method, Protocol]]] = {}
    for table in ERRORS:
        runs = {
            (variant.method, variant.under(Protocol()).protocol)
            for column in table.columns
            for variant in column.variants
        }
        for dataset in table.datasets:
            models.setdefault(dataset, set()).update(runs | {(table.baseline_method, Protocol())})
    assert sorted(map(len, models.values())) == [32] * 9 + [36] * 6
    assert sorted(key for key, pairs in models.items() if len(pairs) == 36) == sorted(TABLE_5_SETS)
    assert sum(map(len, models.values())) == 504
    names = {method_name(method) for pairs in models.values() for method, _ in pairs}
    assert names == set(PAPER_METHODS)


def test_published_numbers() -> None:
    numbers = [load_reference(table.reference) for table in ERRORS if table.reference]
    assert [len(errors) for errors in numbers] == [15 * 11, 15 * 11, 15 * 8, 15 * 8, 6 * 8]
    assert all(0 < value < 100 for errors in numbers for value in errors.values())
    assert load_published()["MNIST", "uSF"] == 88.65
    assert load_published()["CIFAR", "brSF-100%+BN+BM"] == 71.18
    assert load_published()["MNIST", "SGD Top"] == 3.85
    assert {row for row, _ in load_published()} == set(PAPER_ROWS)


def test_a_number_in_two_tables_is_the_same() -> None:
    seen: dict[tuple[str, str], float] = {}
    for table in ERRORS:
        names = {column.header: method_name(column.variants[0].method) for column in table.columns}
        for (row, header), value in load_reference(table.reference or "").items():
            assert seen.setdefault((row, names[header]), value) == value
    assert len(seen) == 9 * 31 + 6 * 35  # uSF+BM is one number


def own(directory: Path, text: str, name: str = "mine.yaml") -> TableSpec:
    file = directory / name
    file.write_text(text)
    (table,) = load_table(str(file))
    return table


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    table = own(
        tmp_path, "title: Mine\ncolumns:\n- BN\n- {header: slow, method: uSF, protocol: {momentum: 0.5}}\n"
    )
    assert (table.key, table.title, table.baseline) == ("mine", "Mine", "SGD")
    assert [column.header for column in table.columns] == ["BN", "slow"]
    (variant,) = table.columns[1].variants
    assert variant.under(Protocol(epochs=3)).protocol == Protocol(epochs=3, momentum=0.5)
    changed = own(tmp_path, "title: Mine\ncolumns: [BM]\n")
    assert [column.header for column in changed.columns] == ["BM"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: [SGD]", "mine.yaml:1: title: is missing"),
        ("title: x", "mine.yaml:1: columns: is missing. Write columns: [SGD, uSF+BN+BM]"),
        ("title: x\ncolumns: SGD", 'mine.yaml:2: columns: must be a list of columns, not "SGD"'),
        (
            "title: x\ncolumns:\n- SGD\n- uSFF",
            'mine.yaml:4: columns[1].method: "uSFF" is not a method. Did you mean "uSF"?',
        ),
        (
            "title: x\ncolumns:\n- uSFF\n- SGD\n- SGD",
            'mine.yaml:5: columns[2]: a column "SGD" is above already',
        ),
        ("title: x\ncolumns: [{header: a}]", "columns[0].method: must be the name of a method, not nothing"),
        ("title: x\ncolumns: [{heder: a}]", 'columns[0].heder: unknown key. Did you mean "header"?'),
        ("title: x\ncolumns: [{header: a, runs: []}]", "columns[0].runs: must not be empty"),
        (
            "title: x\ncolumns: [{header: a, method: BM, runs: [{method: BM}]}]",
            "columns[0]: has both runs and method. Put this into runs",
        ),
        (
            "title: x\ncolumns: [{header: a, protocol: {}, grow_before_rate_drops: true, runs: [{method: BM}]}]",
            "columns[0]: has both runs and protocol and grow_before_rate_drops. Put these into runs",
        ),
        (
            "title: x\ncolumns: [{method: BM, grow_before_rate_drops: 1}]",
            "columns[0].grow_before_rate_drops: must be true or false, not 1",
        ),
        *(
            (
                f"title: x\ncolumns: [{{method: BM, {protocol}grow_before_rate_drops: true}}]",
                "columns[0].grow_before_rate_drops: needs a batch size that changes, next to it: protocol: {",
            )
            for protocol in (
                "",
                "protocol: {batch_size: 500}, ",
                "protocol: {batch_size: [{from_epoch: 1, size: 500}]}, ",
                "protocol: {batch_size: [{from_epoch: 1, size: 5}, {from_epoch: 2, size: 5}]}, ",
            )
        ),
        (
            "title: x\ncolumns: [{method: BM, protocol: {epohcs: 1}}]",
            'protocol.epohcs: unknown key. Did you mean "epochs"?',
        ),
        (
            "title: x\ncolumns: [{method: BM, protocol: {epochs: 0}}]",
            "columns[0].protocol.epochs: must be greater than",
        ),
        ("title: x\ncolumns: [{method: BM, protocol: {resize: crop}}]", "columns[0].protocol.resize: unknown key"),
        ("title: x\ncolumns: [SGD]\nbaseline: SDG", 'baseline: "SDG" is not a method. Did you mean "SGD"?'),
        ("title: x\ncolumns: [SGD]\ndatasets: [mnits]", 'datasets[0]: "mnits" is not a dataset'),
        (
            "title: x\ncolumns: [SGD]\nkind: erors",
            'kind: "erors" is not one of networks, errors. Did you mean "errors"?',
        ),
        ("title: x\ncolumns: [SGD]\ntitel: y", 'titel: unknown key. Did you mean "title"?'),
    ],
)
def test_what_is_wrong_with_a_table(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        own(tmp_path, text)
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize("key", ["6", "", "4-c3", "tables", "-c1"])
def test_what_is_no_table(key: str) -> None:
    with pytest.raises(
        UsageError,
        match=r"there are 1, 2, 3, 4-c1, 4-c2, 5, 4, all, akrout2019, biotorch2021, ccl2024, pfa2024, or the path",
    ):
        load_table(key)


def test_a_file_cannot_pose_as_a_table_of_the_paper(tmp_path: Path) -> None:
    """Its results would be stored as the paper's table, with the paper's numbers next to them."""
    with pytest.raises(UsageError, match=r"2 is a table of a paper\. Give the file another name"):
        own(tmp_path, "title: x\ncolumns: [SGD]\n", "2.yaml")
    with pytest.raises(RecipeError, match="there is no such file"):
        load_table(str(tmp_path / "none.yaml"))


def test_a_copy_of_a_table_of_the_paper_is_a_table_of_ones_own(tmp_path: Path) -> None:
    """The README says that they have the same format."""
    theirs = load_table("2")[0]
    copy = tmp_path / "mine.yaml"
    copy.write_text((recipes_directory() / "tables" / "table2.yaml").read_text())
    (own,) = load_table(str(copy))
    assert (own.columns, own.datasets, own.reference) == (theirs.columns, theirs.datasets, None)


def test_a_reference_of_ones_own_is_no_reference(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"mine.yaml:2: reference: means nothing in your own tables.*Delete the line"
    ):
        own(tmp_path, "title: x\nreference: mine.csv\ncolumns: [SGD]\n")
