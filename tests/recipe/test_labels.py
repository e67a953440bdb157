"""Names that tell rows and tables apart, in the cases that need it and in no others."""

import pytest
import small_study

from asymbp_cli.recipe.grid import Grid, GridRow, choose_table_id, grid_id, table_ids
from asymbp_cli.recipe.labels import (
    find_first_headers,
    find_table_words,
    name_datasets,
    name_networks,
    name_tables,
    tell_rows_apart,
)
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.table import load_table
from asymbp_cli.report.text import head_tables
from asymbp_cli.specs.networks import Network

A, B = "a" * 64, "b" * 64


def network(*layers: str, size: str = "8x8x1") -> Network:
    return Network(input=tuple(map(int, size.split("x"))), layers=layers).resolve(10)


def row(dataset: str | None = A, of: Network | None = small_study.NETWORK, label: str = "pets") -> GridRow:
    return small_study.row().model_copy(update={"dataset": dataset, "network": of, "label": label})


def labels(*rows: GridRow) -> list[str]:
    grid = small_study.grid(rows=rows)
    told = tell_rows_apart(grid)
    assert tell_rows_apart(told) == told
    assert told.all_runs() == grid.all_runs()
    assert grid_id(told) == grid_id(grid)
    return [row.label for row in told.rows]


SMALL, LARGE = network("FC 16", "FC classes"), network("FC 64", "FC classes")
DEEP = network("FC 16", "FC 16", "FC classes")


def test_rows_with_names_of_their_own_keep_them() -> None:
    grid = small_study.grid(rows=(row(A, label="cats"), row(B, label="dogs"), row(None, None, "birds")))
    assert tell_rows_apart(grid) is grid


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((row(of=SMALL), row(of=LARGE)), ["pets (FC 16)", "pets (FC 64)"]),
        ((row(A), row(B)), ["pets (data aaaaaaaa)", "pets (data bbbbbbbb)"]),
        (
            (row(A, SMALL), row(A, LARGE), row(B, SMALL)),
            ["pets (FC 16, data aaaaaaaa)", "pets (FC 64, data aaaaaaaa)", "pets (FC 16, data bbbbbbbb)"],
        ),
        (  # decoded at another size the pixels are others, too
            (row(A, SMALL), row(B, network("FC 16", "FC classes", size="16x16x1"))),
            ["pets (8x8x1)", "pets (16x16x1)"],
        ),
        (  # another class has come, and the last layer grows with it
            (row(A, SMALL), row(B, Network(input=(8, 8, 1), layers=("FC 16", "FC 11")))),
            ["pets (data aaaaaaaa)", "pets (data bbbbbbbb)"],
        ),
        ((row(of=SMALL), row(label="cats"), row(of=LARGE)), ["pets (FC 16)", "cats", "pets (FC 64)"]),
        ((row(A), row(None, None)), ["pets", "pets (not available)"]),
    ],
    ids=["networks", "images", "both", "sizes", "classes", "one of its own", "missing"],
)
def test_rows_of_one_name_say_what_differs(rows: tuple[GridRow, ...], expected: list[str]) -> None:
    assert labels(*rows) == expected


def test_rows_of_several_tables_have_one_name_or_names_that_differ() -> None:
    same = row(A, SMALL)
    assert name_datasets([same, same, row(None, None)]) == {(A, SMALL): "pets"}
    told = row(A, SMALL, "pets (FC 16)")  # in a table where pets have another network too
    assert name_datasets([told, row(B, SMALL), row(B, LARGE)]) == {
        (A, SMALL): "pets (FC 16) (data aaaaaaaa)",
        (B, SMALL): "pets (FC 16) (data bbbbbbbb)",
        (B, LARGE): "pets (FC 64)",
    }


def test_networks_that_differ_in_much_have_a_name_or_a_hash() -> None:
    assert name_networks([SMALL, DEEP]) == {SMALL: "8x8x1, FC 16, FC 10", DEEP: "8x8x1, FC 16, FC 16, FC 10"}
    cifar, svhn = NETWORKS["cifar"].resolve(10), NETWORKS["svhn"].resolve(10)
    assert name_networks([cifar, svhn]) == {cifar: "network cifar", svhn: "network svhn"}
    long = [network(*["FC 100"] * 9, f"FC {width}", *["FC 100"] * width, "FC classes") for width in (1, 2)]
    names = name_networks(long)
    assert len(set(names.values())) == 2
    for name in names.values():
        assert name.startswith("network ")
        assert len(name) == len("network 12345678")


def test_a_run_has_the_header_of_its_first_column() -> None:
    grid = small_study.grid("SGD", "uSF", multipliers=(1.0,))
    sgd, usf = grid.columns
    named = sgd.model_copy(update={"header": "backpropagation"})
    other = grid.model_copy(update={"columns": (named,), "baseline": usf.model_copy(update={"header": "signs"})})
    assert list(find_first_headers([grid, other]).values()) == ["SGD", "uSF"]
    assert list(find_first_headers([other, grid]).values()) == ["backpropagation", "signs"]


def titled(title: str, key: str = "recipe-net") -> Grid:
    return small_study.grid(key=key).model_copy(update={"title": title})


def test_tables_of_one_key_have_their_titles_in_their_names() -> None:
    assert name_tables([titled("Small"), titled("Other", "recipe-x"), titled("Large")]) == [
        "recipe-net (Small)",
        "recipe-x",
        "recipe-net (Large)",
    ]
    assert name_tables([titled("Small"), titled("Small")]) == ["recipe-net"] * 2


def with_plugins(grid: Grid, initialization: str, *measures: str) -> Grid:
    """Return the grid with names of plugins in the protocol of its last column, as if they were loaded."""
    *others, column = grid.columns
    (entry,) = column.entries
    protocol = entry.protocol.model_copy(update={"initialization": initialization, "measure": measures})
    changed = column.model_copy(update={"entries": (entry.model_copy(update={"protocol": protocol}),)})
    return grid.model_copy(update={"columns": (*others, changed)})


def test_tables_have_the_versions_of_plugins_in_their_names_if_only_these_differ() -> None:
    old, new, other = (f"mine@{digit * 16}" for digit in "123")
    grids = [with_plugins(titled("Small"), name) for name in (old, new)]
    assert name_tables(grids) == ["recipe-net (plugin 11111111)", "recipe-net (plugin 22222222)"]
    assert name_tables([grids[0], titled("Small")]) == ["recipe-net"] * 2  # there is one version
    apart = [grids[0], with_plugins(titled("Small", "recipe-x"), new), with_plugins(titled("Large"), new)]
    assert name_tables(apart) == ["recipe-net (Small)", "recipe-x", "recipe-net (Large)"]
    three = [*grids, with_plugins(titled("Small"), other), with_plugins(titled("Large"), new)]
    assert name_tables(three)[0] == "recipe-net (Small, plugin 11111111)"
    two = [with_plugins(titled("Small"), name, f"size@{digit * 16}") for name, digit in ((old, "a"), (new, "b"))]
    assert name_tables(two)[1] == "recipe-net (plugins 22222222, bbbbbbbb)"
    one_file = [with_plugins(titled("Small"), f"a@{digit * 16}", f"b@{digit * 16}") for digit in "45"]
    assert name_tables(one_file)[0] == "recipe-net (plugin 44444444)"


def test_a_table_with_another_title_has_another_id_and_the_first_one_the_plain() -> None:
    small, large = titled("Small"), titled("Large")
    assert grid_id(small) == grid_id(large)
    plain = choose_table_id(small, {})
    assert plain == grid_id(small) == choose_table_id(small, {plain: "Small"})
    other = choose_table_id(large, {plain: "Small"})
    assert other not in (plain, choose_table_id(titled("Largest"), {plain: "Small"}))
    assert choose_table_id(large, {plain: "Small", other: "Large"}) == other
    assert choose_table_id(large, {other: "Large"}) == other
    assert {plain, other} == set(table_ids(large))


def test_a_table_of_the_paper_is_one_whatever_its_title() -> None:
    for spec in load_table("all"):
        key = f"table-{spec.key}"
        plain = choose_table_id(titled("Old words", key), {})
        assert choose_table_id(titled("New words", key), {plain: "Old words"}) == plain
    plain = choose_table_id(titled("Old words", "table-mine"), {})
    assert choose_table_id(titled("New words", "table-mine"), {plain: "Old words"}) != plain


def test_tables_have_the_words_that_their_option_takes() -> None:
    first, second = small_study.grid("SGD"), small_study.grid("SGD", key="recipe-my nets")
    large, small = (second.model_copy(update={"title": title}) for title in ("Large. All", "Small"))
    assert find_table_words([first, second]) == ["2", "my nets"]
    assert find_table_words([large, small]) == ["Large. All", "Small"]
    assert head_tables([first, large]) == ["A small table (--table 2)", "Large (--table 'my nets')"]
    assert head_tables([large, small]) == ["Large (--table 'Large. All')", "Small"]
