"""The three lines that a report begins with, its title, and the order of its tables."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fake_engine
import pytest
import small_study
from sample_tables import filled, train_last_column_longer

from asymbp_cli import study
from asymbp_cli.analysis.tables import FilledGrid, fill_all
from asymbp_cli.events import Provenance
from asymbp_cli.report.assemble import assemble_document
from asymbp_cli.report.compute_listing import make_compute_records
from asymbp_cli.report.document import Figure, Listing
from asymbp_cli.report.figures import draw_figures
from asymbp_cli.report.footnotes import write_footnotes
from asymbp_cli.report.provenance_listing import list_provenance
from asymbp_cli.report.result_table import ResultTable
from asymbp_cli.report.summary import PAPER_TITLE, choose_title, summarize
from asymbp_cli.results.store import Store
from asymbp_cli.text import format_duration


@pytest.fixture
def trained(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results") as store:
        grid = small_study.grid("SGD", "uSF")
        study.run([grid], small_study.INFOS, store, study.Execution(train=fake_engine.train))
        yield store


def as_recipe(table: FilledGrid, title: str, key: str = "recipe-mine") -> FilledGrid:
    return replace(table, grid=table.grid.model_copy(update={"key": key, "title": title}))


def test_it_says_what_was_trained_how_close_it_is_and_what_holds(trained: Store) -> None:
    tables = fill_all(trained, trained.grids())
    first, second, third = summarize(tables, trained, ())
    assert first.startswith("Trained: 4 runs on digits, protocol ")
    assert "1 seed, " in first
    assert second.startswith("Next to the paper: it has none of the finished cells; their lowest error is ")
    assert "±" in second
    assert third.startswith(
        "What holds: none of the paper's conclusions can be judged on these runs; next to SGD "
    )


def test_it_counts_cells_near_the_papers(trained: Store) -> None:
    lines = summarize([filled(1.0, 2.5, 5.5, 4.0, 90.0)], trained, ())
    assert lines[1] == (
        "Next to the paper: 4 of 5 cells are within 1 point, 5 within 3, and 3 of 4 have its colour."
    )
    assert "next to SGD 3 of 4 cells are worse and 0 better by 3 points or more" in lines[2]


def test_cells_on_other_data_than_the_papers_are_counted_apart(trained: Store) -> None:
    numbers = (1.0, 2.5, 5.5, 4.0, 90.0)
    _, closeness, _ = summarize([filled(*numbers, exact=False)], trained, ())
    assert closeness.startswith("Next to the paper: 4 of 5 cells on a copy or other split are within 1 point")


def test_several_protocols_and_numbers_of_seeds_are_counted(trained: Store) -> None:
    one, other = (
        filled(1.0, 2.0, 3.0, 4.0, 5.0),
        filled(1.0, 2.0, 3.0, 4.0, 5.0, label="quick with epochs=3, momentum=0"),
    )
    assert ", protocol quick, 1 seed, " in summarize([one], trained, ())[0]
    seeded = replace(other, grid=other.grid.model_copy(update={"seeds": (3, 4, 5)}))
    assert ", 2 protocols, 1 to 3 seeds, " in summarize([one, seeded], trained, ())[0]
    again = replace(one, grid=one.grid.model_copy(update={"seeds": (1,)}))
    assert ", protocol quick, 1 seed, " in summarize([one, again], trained, ())[0]  # each cell has one


def test_hollow_colours_are_named(trained: Store) -> None:
    _, closeness, _ = summarize([filled(1.0, 2.0, 3.0, 4.0, 90.0)], trained, ())
    assert closeness.endswith("have its colour.")
    table = filled(
        20.0, 2.0, 3.0, 23.0, 90.0
    )  # 3 points at 20 % of 1,000 samples are less than two standard errors
    _, closeness, _ = summarize([table], trained, ())
    assert closeness.endswith("have its colour, besides 1 hollow.")


def test_its_time_is_that_of_its_compute(trained: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of attempts that failed: they have no epochs."""
    (grid,) = trained.grids()
    run, *_ = grid.all_runs().values()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    with trained.writing():
        trained.begin([run], run.protocol.epochs, Provenance("host", "cpu", {}, None, 1))
        monkeypatch.setattr(time, "time", lambda: now + 2 * 3600)
        trained.fail([run.id], "no power")
    tables = fill_all(trained, [grid])
    records = make_compute_records(trained.efforts(), grid.all_runs())
    seconds = 3600 * sum(record["hours"] for record in records)
    assert seconds >= 2 * 3600
    assert f", {format_duration(seconds)} of training." in summarize(tables, trained, ())[0]
    facts = dict(list_provenance(tables, trained).rows)
    assert facts["time"] == f"{format_duration(seconds)} of training, added up over 4 runs"


def test_a_clock_that_goes_back_takes_no_time_away(trained: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (grid,) = trained.grids()
    run, *_ = grid.all_runs().values()
    before = sum(effort.seconds for effort in trained.efforts())
    now = time.time()
    with trained.writing():
        trained.begin([run], run.protocol.epochs, Provenance("host", "cpu", {}, None, 1))
        monkeypatch.setattr(time, "time", lambda: now - 3600)
        trained.fail([run.id], "no power")
    assert sum(effort.seconds for effort in trained.efforts()) == before


def test_unfinished_studies_say_how_much_is_done(trained: Store) -> None:
    tables = [filled(None, None, None, None, None)]
    first, second, third = summarize(tables, trained, ())
    assert first.startswith("Trained: 0 of 10 runs on MNIST")
    assert second.endswith("no cell is finished yet.")
    assert third == "What holds: none of the paper's conclusions can be judged on these runs."
    assert summarize([], trained, ()) == ()


def test_own_recipes_have_their_own_title(trained: Store) -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 5.0)
    mine, other = as_recipe(table, "重み輸送"), as_recipe(table, "Zwei", "table-zwei")
    assert choose_title([mine]) == "重み輸送"
    assert choose_title([mine, other]) == "重み輸送, Zwei"
    assert choose_title([mine, table]) == PAPER_TITLE == choose_title([])
    assert assemble_document([mine], trained).title == "重み輸送"
    assert assemble_document([mine], trained, title="Signs").title == "Signs"


def test_a_report_of_several_tables_has_their_short_titles() -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 5.0)
    titles = ("Akrout et al. 2019. Learned feedback", "Ji-An and Benna 2024. Feedback on MNIST")
    assert (
        choose_title([as_recipe(table, title) for title in titles]) == "Akrout et al. 2019, Ji-An and Benna 2024"
    )


def test_numbers_printed_by_other_papers_are_in_the_summary(trained: Store) -> None:
    lines = summarize([filled(None, None, None, None, None)], trained, (), ["T: 3 of 4 printed numbers agree"])
    assert lines[1] == "Next to the paper: T: 3 of 4 printed numbers agree."


def test_tables_are_in_the_papers_order_and_have_their_figures_under_them(trained: Store) -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 5.0)
    table5 = as_recipe(table, "Table 5", "table-5")
    tables = [as_recipe(table, "Mine"), table5, table]
    found = assemble_document(tables, trained, draw_figures(tables, {}))
    titles = [block.title for block in found.blocks if isinstance(block, ResultTable)]
    assert titles == ["Title", "Table 5", "Mine"]
    kinds = [(type(block), getattr(block, "table", None)) for block in found.blocks]
    assert kinds[:2] == [(ResultTable, None), (Figure, 2)]
    at = kinds.index((Figure, None))
    assert found.blocks[at - 1].title == "Agreement with the paper"  # type: ignore[union-attr]


def test_no_listing_shows_a_key(trained: Store) -> None:
    tables = [filled(1.0, 2.0, 3.0, 4.0, 5.0)]
    found = assemble_document(tables, trained)
    texts = [text for block in found.blocks if isinstance(block, Listing) for row in block.rows for text in row]
    titles = [block.title for block in found.blocks if isinstance(block, Listing)]
    assert not [text for text in (*texts, *titles) if "table-2" in text or "magnitudes-of" in text]


def test_the_lowest_error_is_of_a_finished_cell_and_each_protocol_has_its_own(tmp_path: Path) -> None:
    """A cell that is still in training shows its best epoch so far, which is no result."""
    with Store.open(tmp_path / "results") as store:
        grid = small_study.grid("SGD", "uSF")
        study.run([grid], small_study.INFOS, store, study.Execution(train=fake_engine.train))
        (table,) = fill_all(store, [grid])
        (lowest,) = table.cells
        assert summarize([table], store, ())[1].count("%, of ") == 1
        unfinished = replace(table, cells=(tuple(replace(cell, ended=cell.ended - 1) for cell in lowest),))
        assert summarize([unfinished], store, ())[1] == ("Next to the paper: no cell is finished yet.")
        other = replace(table, grid=grid.model_copy(update={"protocol_label": "quick"}))
        line = summarize([table, other], store, ())[1]
        assert "; their lowest errors are " in line
        assert line.count("%, of ") == 2
        assert " on digits by quick" in line


def test_cells_of_several_protocols_are_counted_apart_and_those_of_two_tables_once(trained: Store) -> None:
    one, other = filled(1.0, 2.5, 5.5, 4.0, 90.0), filled(1.0, 2.0, 3.0, 3.0, 90.0, label="paper")
    holds = summarize([one, other, one], trained, ())[2]
    assert "next to SGD by quick 3 of 4 cells are worse and 0 better" in holds
    assert "next to SGD by paper 1 of 4 cells are worse and 0 better" in holds


def test_a_column_of_other_epochs_is_neither_counted_nor_coloured(trained: Store) -> None:
    table = filled(1.0, 2.5, 5.5, 4.0, 90.0)
    grid = train_last_column_longer(table.grid)
    assert [grid.is_comparable(column) for column in grid.columns] == [True] * 4 + [False]
    assert "next to SGD 2 of 3 cells" in summarize([replace(table, grid=grid)], trained, ())[2]
    notes = " ".join(write_footnotes(replace(table, grid=grid)))
    assert "Not compared, since epochs differ: uSF+BN+BM." in notes
    assert "since epochs differ" not in " ".join(write_footnotes(table))
