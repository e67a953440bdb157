"""The report of a store: parts in order, figures named, provenance, and the same as JSON."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fake_engine
import pytest
import sample_document as sample
import small_study
from sample_tables import filled

from asymbp_cli import study
from asymbp_cli.analysis.tables import FilledGrid, fill_all
from asymbp_cli.recipe.build import make_missing_row
from asymbp_cli.report import json_records, markdown
from asymbp_cli.report.assemble import assemble_document
from asymbp_cli.report.document import Document, Figure, Listing
from asymbp_cli.report.result_table import ResultTable
from asymbp_cli.report.source import name_figure_folder
from asymbp_cli.results.store import Store


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[Store]:
    """A store with one table, of whose two datasets one is not here."""
    grid = small_study.grid("SGD", "uSF")
    grid = grid.model_copy(update={"rows": (*grid.rows, make_missing_row("svhn"))})
    with Store.open(tmp_path / "results") as store:
        execution = study.Execution(train=fake_engine.train)
        study.run([grid], small_study.INFOS, store, execution, command="asymbp reproduce --table 2")
        yield store


@pytest.fixture
def tables(trained: Store) -> list[FilledGrid]:
    return fill_all(trained, trained.grids())


def facts(found: Document) -> dict[str, list[str]]:
    (listing,) = [part for part in found.blocks if isinstance(part, Listing) and part.title == "Provenance"]
    values: dict[str, list[str]] = {}
    for what, value in listing.rows:
        values.setdefault(what, []).append(value)
    return values


def test_provenance_says_how_to_get_the_same_again(trained: Store, tables: list[FilledGrid]) -> None:
    said = facts(assemble_document(tables, trained))
    assert said["command"] == ["`asymbp reproduce --table 2`"]
    assert said["seeds"] == ["0"]
    assert said["dataset"] == [f"digits: 1,437 to train, 360 to test, SHA-256 of pixels and labels {'f' * 16}"]
    assert said["classes of digits"] == ["0, 1, 2, 3, 4, 5, 6, 7, 8, 9"]
    assert "torch" in said["software"][0]
    assert said["device"][0].startswith("cpu (")
    epochs = sum(len(points) for points in trained.epochs(tables[0].grid.all_runs()).values())
    assert "4 runs" in said["time"][0]
    assert said["cost"] == [
        f"about {epochs * 1437 * small_study.NETWORK.flop_per_sample() / 1e15:.3g} PFLOP of training"
    ]


def test_the_cost_is_that_of_samples_that_were_trained_on(trained: Store, tables: list[FilledGrid]) -> None:
    """A frozen run trains on none, and one that holds samples out on fewer."""
    points = trained.epochs(tables[0].grid.all_runs())
    first, *_, last = points
    with trained.writing():
        trained.record(replace(points[first][-1], train_seen=0, train_wrong=0))
        trained.record(replace(points[last][-1], train_seen=1293))
    samples = 1437 * (sum(map(len, points.values())) - 2) + 1293
    flop = samples * small_study.NETWORK.flop_per_sample()
    assert facts(assemble_document(tables, trained))["cost"] == [f"about {flop / 1e15:.3g} PFLOP of training"]


def test_every_choice_of_the_protocol_stands_in_the_report(trained: Store, tables: list[FilledGrid]) -> None:
    (listing,) = [
        p for p in assemble_document(tables, trained).blocks if getattr(p, "title", "").startswith("Protocol ")
    ]
    assert isinstance(listing, Listing)
    fields = {name: (value, source) for name, value, source in listing.rows}
    assert set(fields) == set(type(tables[0].grid.protocol).model_fields)
    assert fields["weight_decay"][0] == "0.0005"
    assert "not stated in the paper" in fields["weight_decay"][1]
    assert all(source for _, source in fields.values())


def test_a_missing_dataset_is_a_row_without_runs_that_says_so(trained: Store, tables: list[FilledGrid]) -> None:
    blocks = assemble_document(tables, trained).blocks
    (table,) = [block for block in blocks if isinstance(block, ResultTable)]
    by_label = dict(table.rows)
    assert {cell.reason for cell in by_label["SVHN"]} == {"dataset not available"}
    assert any("not available: SVHN" in note for note in table.notes)
    assert all(cell.complete for cell in by_label["digits"])
    assert not any("unfinished" in note for note in table.notes)


def test_figures_are_linked_where_they_are_kept(trained: Store, tables: list[FilledGrid]) -> None:
    drawn = Figure("curves-1", "Curves | of `x`.", "It | falls.", sample.CHART)
    found = assemble_document(tables, trained, [drawn])
    assert "![It \\| falls.](report-figures/curves-1.svg)" in markdown.render(found, "report-figures")
    assert "curves-1" not in markdown.render(found)
    assert name_figure_folder(Path("a/report.md")) == "report-figures"


def test_text_of_users_does_not_break_the_table() -> None:
    listing = Listing("a|b", ("x", "y"), (("1|2 *3* _4_", "`asymbp --set a_b=*`"),), ("see `a|b`",))
    text = markdown.render(Document("t", "i", (listing,)))
    assert "## a\\|b" in text
    assert "| 1\\|2 \\*3\\* \\_4\\_ | `asymbp --set a_b=*` |" in text


def test_json_holds_every_cell_and_listing(trained: Store, tables: list[FilledGrid]) -> None:
    found = json.loads(json_records.render(tables, assemble_document(tables, trained)))
    (table,) = found["tables"]
    assert (table["key"], table["rule"], table["seeds"]) == (tables[0].grid.key, "paper", [0])
    assert [cell["dataset"] for cell in table["cells"]] == ["digits", "digits", "SVHN", "SVHN"]
    assert table["cells"][0]["wrong"] is not None
    assert table["cells"][2] | {"reason": ""} == table["cells"][2] | {"reason": "", "wrong": None, "seed": None}
    assert table["cells"][2]["reason"] == "dataset not available"
    assert table["protocol"]["momentum"] == 0.9
    (provenance,) = [part["rows"] for part in found["listings"] if part["title"] == "Provenance"]
    assert {"what": "seeds", "value": "0"} in provenance


def test_tables_of_one_title_are_told_apart_by_protocol_or_seeds(trained: Store) -> None:
    def told(**changes: object) -> list[str]:
        first = filled(1.0, 2.0, 3.0, 4.0, 5.0)
        other = replace(first, grid=first.grid.model_copy(update=changes))
        found = assemble_document([first, other], trained)
        titles = [part.title for part in found.blocks if isinstance(part, ResultTable | Listing)]
        assert len(titles) == len(set(titles))
        listings = json.loads(json_records.render([first, other], found))["listings"]
        assert [part["title"] for part in listings] == [
            part.title for part in found.blocks if isinstance(part, Listing)
        ]
        return [title for title in titles if title.startswith(first.grid.title)]

    assert told(protocol_label="paper") == [
        "Title (quick)",
        "Title (quick): all rates",
        "Title (quick): differences",
        "Title (quick): uncertainty",
        "Title (paper)",
        "Title (paper): all rates",
        "Title (paper): differences",
        "Title (paper): uncertainty",
    ]
    assert told(seeds=(7,))[::4] == ["Title (quick, seeds 0)", "Title (quick, seeds 7)"]


def test_runs_under_the_held_out_rule_are_found_in_the_store(trained: Store) -> None:
    """Without runs under that rule there is no such line; with them, in the paper's table alone."""
    (grid,) = trained.grids()
    assert all(cell.rule_difference is None for cell in fill_all(trained, [grid])[0].cells[0])
    protocol = grid.protocol.model_copy(update={"validation_fraction": 0.1})
    columns = tuple(
        column.model_copy(
            update={"entries": tuple(entry.model_copy(update={"protocol": protocol}) for entry in column.entries)}
        )
        for column in grid.columns
    )
    held_out = grid.model_copy(
        update={"columns": columns, "baseline": columns[0], "base": protocol, "protocol_label": "held"}
    )
    study.run([held_out], small_study.INFOS, trained, study.Execution(train=fake_engine.train))
    ours, others = fill_all(trained, [grid, held_out])
    for cell, other in zip(ours.cells[0], others.cells[0], strict=True):
        assert cell.error_percent is not None
        assert other.error_percent is not None
        assert cell.rule_difference == pytest.approx(other.error_percent - cell.error_percent)
        assert other.rule_difference is None
    assert "held-out rule" in markdown.render(assemble_document([ours], trained))
