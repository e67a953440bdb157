"""What a table shows besides errors, in every format: hollow colours, last epochs, the held-out rule."""

import io
import re
from dataclasses import replace

import pytest
import sample_document as sample
import small_study
from rich.console import Console
from sample_tables import filled, make_epoch, make_grid

from asymbp_cli.analysis.agreement import Agreement, pair_cells
from asymbp_cli.analysis.tables import FilledGrid, fill_grid
from asymbp_cli.analysis.uncertainty import Difference
from asymbp_cli.cli.console import print_result_table
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.report import csv_records, html, latex, markdown
from asymbp_cli.report.document import Document
from asymbp_cli.report.footnotes import write_footnotes
from asymbp_cli.report.listings import list_agreement
from asymbp_cli.report.rates_listing import list_all_rates
from asymbp_cli.report.records import make_rate_records, make_records
from asymbp_cli.report.result_table import ResultTable
from asymbp_cli.report.uncertainty_listing import list_uncertainty

DOCUMENT = Document("", "", (sample.UNSURE,))


def in_terminal(table: ResultTable, width: int) -> str:
    out = io.StringIO()
    print_result_table(Console(file=out, width=width, no_color=True, markup=False), table)
    return out.getvalue()


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


def wide(*labels: str) -> ResultTable:
    """Return a table with nine columns and a row for each label."""
    cells = sample.UNSURE.rows[0][1] * 3
    header = tuple(f"brSF-{i}%+BN+BM" for i in range(9))
    return ResultTable("Wide", header, tuple((label, cells) for label in labels), ())


def test_a_terminal_shows_them_in_both_layouts() -> None:
    for table, width in ((sample.UNSURE, 120), (wide("Flowers17"), 80)):
        text = in_terminal(table, width)
        assert "△40.00" in text
        assert "▽30.00" in text
        assert "△33.00" in text
        assert text.count("+1.25") == len(table.header)
        assert "45.00" in text
    assert "│ last epoch    │" in in_terminal(sample.UNSURE, 120)
    header = in_terminal(wide("Flowers17"), 80).splitlines()[2].strip("┃").split("┃")
    assert [name.strip() for name in header] == [
        "",
        "Flowers17",
        "paper",
        "std. error",
        "last epoch",
        "held-out rule",
    ]


def test_tables_of_many_datasets_are_cut_where_a_terminal_of_80_columns_ends() -> None:
    labels = [f"Dataset {i}" for i in range(7)]
    text = in_terminal(wide(*labels), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert all(label in text for label in labels)
    assert "…" not in text
    assert text.count("brSF-8%+BN+BM") > 1  # in every piece
    assert in_terminal(wide(*labels), 400).count("brSF-8%+BN+BM") == 1


def test_markdown_has_a_line_for_each() -> None:
    lines = [re.sub(" +", " ", line) for line in markdown.render(DOCUMENT).splitlines()]
    assert "| Flowers17 | 35.00 | 40.00 △ | **30.00** ▽ |" in lines
    assert "| Flowers17 (paper) | *33.00* | *33.00* △ | *33.00* ▽ |" in lines
    assert "| Flowers17 (last epoch) | 40.00 | 45.00 | 35.00 |" in lines
    assert "| Flowers17 (held-out rule) | +1.25 | +1.25 | +1.25 |" in lines


def test_html_outlines_hollow_cells_and_has_muted_lines() -> None:
    page = html.render(DOCUMENT)
    assert page.count('<div class="own worse hollow"') == page.count('<div class="paper worse hollow"') == 1
    assert "worse by less than two standard errors: " in page
    assert page.count('<div class="detail">') == 3 * 4  # three lines of the row's header and of three cells
    assert '<span class="sr">last epoch: </span>45.00' in page
    assert "standard error 2.66 points; +5.00 points from the baseline, standard error 5.00" in page
    assert "by less than two standard errors</span>" in page.partition("<tbody>")[0]
    assert "hollow swatch" not in html.render(Document("", "", (sample.WITH_PAPER,)))


def test_latex_leaves_hollow_cells_without_ground() -> None:
    text = latex.render(DOCUMENT)
    assert "cellcolor" not in text
    assert text.count(r"{\tiny$\vartriangle$}\,40.00") == 1
    assert text.count(r"{\tiny$\triangledown$}\,\textbf{30.00}") == 1
    assert r"\scriptsize last epoch & \scriptsize 40.00 & \scriptsize 45.00 & \scriptsize 35.00" in text
    assert "by less than two standard errors" in text


def test_records_have_them_in_columns_at_the_end() -> None:
    first, *_, last = make_records([seeded()])[0]
    assert list(first)[-13:] == [
        "run",
        "standard_error_points",
        "baseline_difference_points",
        "baseline_standard_error_points",
        "hollow",
        "paper_hollow",
        "last_epoch_percent",
        "held_out_difference_points",
        "lowest_percent",
        "highest_percent",
        "seeds_done",
        "median_standard_error_points",
        "command",
    ]
    spread = ("lowest_percent", "highest_percent", "seeds_done", "median_standard_error_points")
    assert tuple(last[name] for name in spread) == (15.0, 20.0, 3, 1.1879)
    assert (first["baseline_difference_points"], first["last_epoch_percent"]) == (None, 30.0)
    assert (last["error_percent"], last["standard_error_points"]) == (20.0, 1.2649)
    assert last["baseline_difference_points"] == 5.3333
    assert (last["hollow"], last["paper_hollow"]) == (False, False)
    header = csv_records.render([seeded()]).splitlines()[0]
    assert "hollow,paper_hollow,last_epoch_percent,held_out_difference_points" in header


def test_differences_are_listed_with_intervals_if_there_are_enough_seeds() -> None:
    (listing,) = list_uncertainty(seeded())
    assert listing.title == "Title: uncertainty"
    assert listing.rows == (
        ("MNIST: minus SGD", "-", "+5.33"),
        ("MNIST: its standard error", "-", "1.61"),
    )
    assert "n = 3 seeds" in listing.notes[1]
    assert listing.notes[2] == "Fewer than 5 seeds are too few for an interval."
    (enough,) = list_uncertainty(seeded(5))
    # 5.2 is the mean of 5, 6, 5, 7 and 3, whose deviation is 1.483; Student's t with 4 degrees of freedom is 2.776
    assert enough.rows[-1] == ("MNIST: its interval", "-", "+3.36 to +7.04")
    assert "colours use two standard errors for each column" in enough.notes[2]
    assert len(enough.notes) == 3
    (single,) = list_uncertainty(filled(1.0, 2.0, 3.0, 4.0, 5.0))
    assert [row[0] for row in single.rows] == ["MNIST: minus SGD", "MNIST: its standard error"]
    (note,) = single.notes
    assert "With one seed it counts the size of the test set only." in note
    assert list_uncertainty(filled(None, None, None, None, None)) == []


def test_footnotes_say_what_three_points_and_a_standard_error_are() -> None:
    notes = " ".join(write_footnotes(filled(1.0, 2.0, 3.0, 4.0, 50.0)))
    assert "MNIST 0.31 to 1.58 points, where 3 points are 30 of 1,000 samples." in notes
    assert (
        "not the spread over seeds (there is one), the choice of rate and epoch on the test set, or what" in notes
    )
    assert "Last epoch" not in notes
    assert "hollow" not in notes
    assert "more chances" not in notes
    (last,) = [note for note in write_footnotes(seeded()) if note.startswith("Last epoch")]
    assert last == (
        "Last epoch: the test error of the same runs after their last epoch. That epoch is not picked on the test "
        "set; the rate still is."
    )


def test_a_footnote_says_on_how_many_samples_cells_are_picked_that_are_held_out() -> None:
    table = seeded()
    (row,), protocol = table.grid.rows, table.grid.protocol.model_copy(update={"validation_fraction": 0.1})
    rows = (row.model_copy(update={"train_count": 60}), row.model_copy(update={"train_count": 15_000}))

    def noted(**changes: object) -> str:
        grid = table.grid.model_copy(update={"rows": rows, **changes})
        return " ".join(write_footnotes(replace(table, grid=grid, cells=table.cells * 2)))

    assert "held-out" not in noted()
    assert "picked on about 6 to 1,500 held-out samples of each dataset." in noted(base=protocol)
    assert "picked on about 6 held-out samples of each dataset." in noted(base=protocol, rows=rows[:1] * 2)


def test_a_footnote_explains_the_dash_of_a_cell_that_was_picked_from_the_last_epoch() -> None:
    table = seeded()
    sgd, usf = table.cells[0]
    ends_best = replace(usf, picks=tuple(replace(pick, epoch=pick.last_epoch) for pick in usf.picks))
    assert ends_best.last_percent is None
    (last,) = [
        note
        for note in write_footnotes(replace(table, cells=((sgd, ends_best),)))
        if note.startswith("Last epoch")
    ]
    assert "after their last epoch (`-` if that is the picked one)." in last


def test_the_runs_that_diverged_are_counted_among_those_of_the_marked_cells() -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 50.0)
    first, second, *others = table.cells[0]
    marked = [replace(cell, ended=5, wanted=5, diverged=diverged) for cell, diverged in ((first, 1), (second, 3))]
    notes = write_footnotes(replace(table, cells=((*marked, *others),)))
    assert "`*` some runs diverged (4 of the 10 runs of the marked cells) and count as the first class." in notes


def test_of_many_datasets_the_smallest_and_the_largest_test_set_are_named() -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 50.0)
    sizes = (1000, 360, 10000, 400, 340)
    cells = tuple(
        tuple(
            replace(cell, picks=tuple(replace(pick, seen=10 * size) for pick in cell.picks))
            for cell in table.cells[0]
        )
        for size in sizes
    )
    rows = tuple(table.grid.rows[0].model_copy(update={"label": f"of {size}"}) for size in sizes)
    many = replace(
        table, grid=table.grid.model_copy(update={"rows": rows}), cells=cells, baselines=table.baselines * 5
    )
    (note,) = [note for note in write_footnotes(many) if note.startswith("Standard errors")]
    assert "of 340 " in note
    assert "102 of 3,400 samples" in note
    assert "of 10000 " in note
    assert note.endswith("; the other test sets are between.")
    assert note.count("samples") == 2


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (45, "1.35 of 45 samples (so at least 2)"),
        (360, "10.8 of 360 samples (so at least 11)"),
        (100, "3 of 100 samples."),
    ],
)
def test_three_points_of_few_samples_are_said_to_be_a_fraction(seen: int, said: str) -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 5.0)
    cells = tuple(replace(c, picks=tuple(replace(p, wrong=2, seen=seen) for p in c.picks)) for c in table.cells[0])
    assert f"3 points are {said}" in " ".join(write_footnotes(replace(table, cells=(cells,))))


def test_every_rate_of_a_cell_is_listed_and_the_selected_one_is_marked() -> None:
    (listing,) = list_all_rates(seeded())
    assert listing.header == ("error, %", "x0.1", "x1")
    assert listing.rows == (("MNIST: SGD", "12.00", "[12.00] 3"), ("MNIST: uSF", "17.00", "[17.00] 3"))
    assert listing.numeric == (False, True, True)
    assert listing.folded
    (single,) = list_all_rates(filled(1.0, None, None, None, None))
    assert single.rows == (("MNIST: SGD", "1.00", "[1.00]"),)
    assert list_all_rates(filled(None, None, None, None, None)) == []


def test_rates_of_dead_runs_have_the_marks_of_cells() -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 5.0)
    cells = tuple(
        replace(cell, trained=tuple(replace(one, collapsed=j != 1, diverged=j > 0) for one in cell.trained))
        for j, cell in enumerate(table.cells[0][:3])
    )
    (listing,) = list_all_rates(replace(table, cells=((*cells, *table.cells[0][3:]),)))
    shown = [{text.lstrip("[0123456789.]") for text in texts} for _, *texts in listing.rows]
    assert shown == [{"="}, {"*"}, {"=*"}, {""}, {""}]
    assert [note[:3] for note in listing.notes[1:]] == ["`=`", "`*`"]


def test_cells_of_the_smallest_or_largest_rate_are_named() -> None:
    table = seeded()

    def noted(added: float, **changes: bool) -> str:
        """Return the last note if the first cell, of rate 1, has runs of another rate besides 0.1."""
        first, *others = table.cells[0]
        at_one = [replace(one, **changes) if one.rate_multiplier == 1 else one for one in first.trained]
        more = [replace(one, run=f"other {one.run}", rate_multiplier=added) for one in first.trained[:3]]
        cells = replace(first, trained=(*at_one, *more)), *others
        return list_all_rates(replace(table, cells=(cells,)))[0].notes[-1]

    assert noted(0.01) == "Best at the smallest or largest rate, so that one beyond may be better: SGD on MNIST."
    assert noted(10).startswith("Test error at each multiple")
    assert not noted(0.01, collapsed=True).startswith("Best at")


def test_the_runs_of_every_rate_are_records_too() -> None:
    records = make_rate_records(seeded())
    assert len(records) == 2 * 2 * 3
    assert [one["rate_multiplier"] for one in records if one["selected"]] == [1.0] * 6
    assert {one["error_percent"] for one in records if one["column"] == "SGD"} == {10.0, 12.0, 14.0}


def test_cells_picked_from_more_runs_are_named() -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 5.0)
    cells = (*table.cells[0][:-1], replace(table.cells[0][-1], wanted=4, ended=4))
    notes = write_footnotes(replace(table, cells=(cells,)))
    assert "Cells are picked from 2 or 4 runs per seed: more runs are more chances." in notes


def test_hollow_colours_are_counted_apart() -> None:
    table = filled(1.0, 2.0, 3.0, 40.0, 50.0)
    found = Agreement.of(pair_cells(table))
    assert (found.same_colour, found.coloured, found.hollow) == (4, 4, 0)
    last = replace(table.cells[0][4], difference=Difference(49.0, test_error=40.0))
    table = replace(table, cells=((*table.cells[0][:4], last),))
    found = Agreement.of(pair_cells(table))
    assert (found.same_colour, found.coloured, found.same_hollow, found.hollow) == (3, 3, 1, 1)
    (listing,) = list_agreement([table])
    assert dict(zip(listing.header, listing.rows[0], strict=True))["hollow ones"] == "1 of 1"
    assert "(1 of 2 of ours, 0 of 2 of the paper's)" in " ".join(write_footnotes(table))
    unpublished = tuple(replace(cell, paper=None, paper_colour=None) for cell in table.cells[0])
    notes = " ".join(write_footnotes(replace(table, cells=(unpublished,))))
    assert "two standard errors (1 of 2 of ours)." in notes


def test_copies_of_the_papers_data_count_once_and_the_one_that_counts_is_named() -> None:
    table, more = filled(1.0, 2.0, 3.0, None, None), filled(1.5, 2.5, 3.5, 4.5, None)
    (row,), (cells,) = table.grid.rows, more.cells
    rows = tuple(row.model_copy(update={"dataset": name * 64}) for name in "ab")
    grid = table.grid.model_copy(update={"rows": rows})
    two = replace(table, grid=grid, cells=(*table.cells, cells), baselines=table.baselines * 2)
    again = replace(two, grid=grid.model_copy(update={"key": "table-4", "title": "Table 4. Random"}))
    (listing,) = list_agreement([two, again])
    assert [line[:4] for line in listing.rows] == [
        ("Title", "quick", "the paper's", "4"),
        ("Table 4", "quick", "the paper's", "4"),
        ("all, each cell once", "quick", "the paper's", "4"),
    ]
    (note,) = [note for note in listing.notes if "copies" in note]
    assert note.startswith("MNIST, quick: of 2 copies of the paper's data")
    assert "It is data bbbbbbbb, which has the most complete cells" in note
    (listing,) = list_agreement([table, more])
    assert not any("copies" in note for note in listing.notes)


def test_data_under_two_networks_is_explained_once() -> None:
    networks = (small_study.NETWORK, NETWORKS["timit"].resolve(10))
    rows = tuple(
        small_study.row(name * 64).model_copy(update={"network": network})
        for name, network in zip("aab", (*networks, networks[0]), strict=True)
    )
    table = fill_grid(small_study.grid(rows=rows), {}, {}, {})
    (note,) = [note for note in write_footnotes(table) if "SHA-256" in note]
    assert note.startswith("data aaaaaaaa, data bbbbbbbb: datasets of one name")
