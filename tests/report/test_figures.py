"""Figures hold the stored numbers, are drawn where there is something to draw, and are the same each time."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from drawn_figures import Epochs, names, plotted, trained
from sample_tables import filled, make_epoch, make_grid

from asymbp_cli.analysis.tables import FilledGrid, fill_grid
from asymbp_cli.recipe.build import make_column
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.report.charts.layout import Mark, lay_out_panel
from asymbp_cli.report.figures import draw_figures
from asymbp_cli.report.figures.opposite_signs import draw_opposite_signs
from asymbp_cli.report.figures.scatter import draw_scatter
from asymbp_cli.report.text import short_title
from asymbp_cli.specs.methods import parse_method

FLIPS = ("brSF+BN+BM", "brSF-25%+BN+BM", "brSF-50%+BN+BM", "frSF+BN+BM", "frSF-50%+BN+BM")


def test_learning_curves_show_the_selected_run_and_its_epoch() -> None:
    table, epochs = trained("SGD", "uSF")
    lines = plotted(draw_figures([table], epochs), "learning-curves")
    assert lines.count(("baseline", [1.0, 2.0, 3.0], [9.0, 8.0, 7.0])) == 2  # SGD's better run, in both panels
    assert ("ours", [1.0, 2.0, 3.0], [29.0, 28.0, 27.0]) in lines
    assert ("ours", [3.0], [27.0]) in lines
    assert ("ours", [1.0, 2.0, 3.0], [39.0, 38.0, 37.0]) not in lines  # the other rate


def test_training_errors_are_beside_test_errors_without_frozen_epochs() -> None:
    table, epochs = trained("SGD", "uSF")
    told = {
        run: [replace(p, train_wrong=p.epoch, train_seen=0 if p.epoch == 3 else 100) for p in points]
        for run, points in epochs.items()
    }
    assert plotted(draw_figures([table], told), "learning-curves").count(("training", [1.0, 2.0], [1.0, 2.0])) == 2


@pytest.mark.parametrize(("wrong", "beyond"), [(10, False), (0, False), (100, True)])
def test_a_training_error_that_the_axis_does_not_show_is_said_to_be_at_its_edge(wrong: int, beyond: bool) -> None:
    """Test errors are from 7 to 29 %, and the axis begins at 0."""
    table, epochs = trained("SGD", "uSF")
    told = {run: [replace(p, train_wrong=wrong, train_seen=100) for p in points] for run, points in epochs.items()}
    (figure,) = [one for one in draw_figures([table], told) if one.name.endswith("learning-curves")]
    assert ("beyond the axis it is at its edge." in figure.caption) is beyond


def seeded() -> tuple[FilledGrid, Epochs]:
    """Return two rates and three seeds, whose errors in the first epoch are 10, 12 and 11 %, then 1 less."""
    grid = make_grid("SGD", "uSF", rate_multipliers=[1.0, 0.1]).model_copy(update={"seeds": (0, 1, 2)})
    first = {0: 100, 1: 120, 2: 110}
    runs = grid.all_runs()
    epochs = {
        key: [make_epoch(key, e, first[run.seed] - 10 * (e - 1) + (run.rate_multiplier < 1)) for e in (1, 2)]
        for key, run in runs.items()
    }
    return fill_grid(grid, epochs, dict.fromkeys(runs, "finished"), {("MNIST", "uSF"): 5.0}), epochs


def test_the_spread_over_seeds_is_a_band_around_the_median_seed() -> None:
    table, epochs = seeded()
    drawn = draw_figures([table], epochs)
    (figure,) = [figure for figure in drawn if figure.name.endswith("learning-curves")]
    (band,) = [one for one in figure.chart.panels[1].series if one.upper]
    assert (list(band.x), list(band.y), list(band.upper)) == ([1, 2], [10.0, 9.0], [12.0, 11.0])
    assert ("ours", [1.0, 2.0], [11.0, 10.0]) in plotted(drawn, "learning-curves")
    assert "3 seeds from 9.00 to 11.00 %" in figure.alt
    (rates,) = [figure for figure in drawn if figure.name.endswith("rates")]
    (band,) = [one for one in rates.chart.panels[1].series if one.upper]
    assert (list(band.x), list(band.y), list(band.upper)) == ([0.1, 1.0], [9.1, 9.0], [11.1, 11.0])
    assert any(entry.band for entry in rates.chart.key)


def test_the_papers_number_and_chance_are_lines() -> None:
    table, epochs = seeded()
    for figure in draw_figures([table], epochs):
        if figure.name.endswith(("curves", "rates")):
            assert figure.chart.panels[0].levels == (("chance", 90.0),)
            assert figure.chart.panels[1].levels == (("chance", 90.0), ("papers", 5.0))
            assert not figure.chart.y.shows(90.0)  # far above: the caption says so
            assert "Chance, 90 %, is above the panels." in figure.caption
            assert [entry.text for entry in figure.chart.key][-1] == "the paper"
    bad = {run: [replace(point, test_wrong=700) for point in points] for run, points in epochs.items()}
    drawn = draw_figures([fill_grid(table.grid, bad, {}, {})], bad)
    assert all(figure.chart.y.shows(90.0) and "above" not in figure.caption for figure in drawn)
    assert [entry.text for entry in drawn[0].chart.key][-1] == "chance"


def test_a_figure_names_its_table() -> None:
    table, epochs = trained("SGD", "uSF")
    table = replace(table, grid=table.grid.model_copy(update={"title": "Table 4 (Exp. C1). Fixed feedback"}))
    drawn = draw_figures([table], epochs)
    assert all(", Table 4 (Exp. C1), protocol " in figure.caption for figure in drawn)
    assert short_title(drawn[0].caption).endswith(f"Table 4 (Exp. C1), protocol {table.grid.protocol_label}")


def test_rates_show_the_selected_error_of_each_run_and_mark_the_dead() -> None:
    table, epochs = trained("SGD", "uSF")
    slow = table.grid.runs(table.grid.rows[0], table.grid.columns[1])[1].id
    epochs[slow] = [replace(point, one_class=True) for point in epochs[slow]]
    table = fill_grid(table.grid, epochs, dict.fromkeys(epochs, "finished"), {})
    drawn = draw_figures([table], epochs)
    lines = plotted(drawn, "rates")
    assert ("baseline", [0.1, 1.0], [17.0, 7.0]) in lines
    assert ("ours", [0.1, 1.0], [37.0, 27.0]) in lines
    assert ("ours", [1.0], [27.0]) in lines  # the selected rate
    (cross,) = [
        one for figure in drawn for panel in figure.chart.panels for one in panel.series if one.marker == "cross"
    ]
    assert (list(cross.x), list(cross.y)) == ([0.1], [37.0])


@pytest.mark.parametrize(("fraction", "slow"), [(0.1, 40), (0.0, 80)])
def test_rates_are_described_as_the_rule_selects_them(fraction: float, slow: int) -> None:
    """Held-out data may not select the lowest test error, and equal errors go to the larger rate."""
    grid = make_grid("SGD", validation_fraction=fraction)
    epochs = {}
    for run in grid.all_runs().values():
        is_fast = run.rate_multiplier == 1
        held_out = {"validation_wrong": 1 if is_fast else 9, "validation_seen": 100} if fraction else {}
        epochs[run.id] = [make_epoch(run.id, 1, 80 if is_fast else slow, **held_out)]
    drawn = draw_figures([fill_grid(grid, epochs, dict.fromkeys(epochs, "finished"), {})], epochs)
    (rates,) = [figure for figure in drawn if figure.name.endswith("rates")]
    assert rates.alt.endswith("at the rate that the rule selects. SGD 8.00 % at x1.")


def test_opposite_signs_are_recognized_by_method_and_stand_beside_the_paper() -> None:
    table, epochs = trained(*FLIPS, headers=("a", "b", "c", "d", "e"))
    cells = tuple(replace(cell, paper=float(k)) for k, cell in enumerate(table.cells[0], 1))
    drawn = draw_figures([replace(table, cells=(cells,))], epochs)
    assert plotted(drawn, "opposite-signs") == [
        ("papers", [0.0, 25.0, 50.0], [1.0, 2.0, 3.0]),
        ("ours", [0.0, 25.0, 50.0], [7.0, 27.0, 47.0]),
        ("papers", [0.0, 50.0], [4.0, 5.0]),
        ("ours", [0.0, 50.0], [67.0, 87.0]),
    ]
    (signs,) = [figure for figure in drawn if "opposite" in figure.name]
    assert "brSF 7.00 % at 0 %, 27.00 % at 25 %, 47.00 % at 50 %; frSF 67.00 % at 0 %" in signs.alt
    assert "the paper's" in signs.caption


def test_other_methods_have_no_curve_of_opposite_signs() -> None:
    table, epochs = trained("SGD", "brSF", "brSF-25%", "brSF+BN+BM")  # without BN and BM; one point
    assert not any("opposite" in name for name in names(draw_figures([table], epochs)))


def test_ours_against_the_papers() -> None:
    table = filled(1.0, 2.0, None, 8.0, 90.0)
    (drawn,) = [figure for figure in draw_figures([table], {}) if figure.name == "ours-against-the-papers"]
    assert ("ours", [1.0, 2.0, 4.0, 90.0], [1.0, 2.0, 8.0, 90.0]) in plotted([drawn], "against-the-papers")
    assert drawn.alt.startswith(
        "3 of 4 cells are within 3 points of the paper's; furthest away: NuSF on MNIST 8.00"
    )


def test_three_points_are_within_three_points() -> None:
    table = filled(33.2, None, None, None, None)
    cells = tuple(replace(cell, paper=30.2) for cell in table.cells[0])
    assert 33.2 - 30.2 > 3
    (drawn,) = draw_scatter([replace(table, cells=(cells,))])
    assert drawn.alt.startswith("1 of 1 cells are within 3 points")


def test_a_cell_without_errors_is_a_point_at_the_edge() -> None:
    (drawn,) = draw_scatter([filled(0.0, 2.0, None, None, None)])
    assert drawn.alt.startswith("2 of 2 cells are within 3 points")
    assert "an error of 0 is at the edge" in drawn.caption
    assert drawn.chart.y.low == pytest.approx(1 / 1.3)
    (mark,) = [shape for shape in lay_out_panel(drawn.chart, drawn.chart.panels[0]) if isinstance(shape, Mark)]
    assert max(y for _, y in mark.points) == drawn.chart.height - 20


def test_a_recipe_with_labels_of_its_own_has_a_curve_of_opposite_signs() -> None:
    """Its columns have notes, which name their methods."""
    table, epochs = trained(*FLIPS[:3])
    noted = [column.model_copy(update={"note": "a method"}) for column in table.grid.columns]
    grid = table.grid.model_copy(update={"columns": tuple(noted), "base": table.grid.protocol})
    (signs,) = draw_opposite_signs(fill_grid(grid, epochs, {}, {}), 0, 0)
    assert "brSF 7.00 % at 0 %, 27.00 % at 25 %, 47.00 % at 50 %" in signs.alt


def test_cells_of_several_protocols_are_in_several_figures() -> None:
    tables = [filled(1.0, 2.0, 4.0, 5.0, 80.0), filled(1.0, 2.0, None, None, None, label="paper")]
    first, second = [figure for figure in draw_figures(tables, {}) if figure.name.startswith("ours-against")]
    assert (first.name, second.name) == ("ours-against-the-papers-1", "ours-against-the-papers-2")
    assert " by quick against " in first.heading
    assert " by paper against " in second.caption
    assert second.alt.startswith("2 of 2 cells ")


def test_panels_of_other_epochs_have_no_line_of_the_baseline() -> None:
    table, epochs = trained("SGD", "uSF")
    column = table.grid.columns[1]
    (entry,) = column.entries
    longer = entry.model_copy(update={"protocol": entry.protocol.model_copy(update={"epochs": 99})})
    columns = (table.grid.columns[0], column.model_copy(update={"entries": (longer,)}))
    other = replace(table, grid=table.grid.model_copy(update={"columns": columns}))
    for ending in ("learning-curves", "rates"):
        looks = [[look for look, *_ in plotted(draw_figures([one], epochs), ending)] for one in (table, other)]
        assert [found.count("baseline") for found in looks] == [2, 1]


def test_nothing_is_drawn_from_nothing() -> None:
    assert draw_figures([], {}) == ()
    assert draw_figures([filled(None, None, None, None, None)], {}) == ()
    grid = make_grid("SGD", rate_multipliers=[1.0])
    (run,) = grid.all_runs()
    once = {run: [make_epoch(run, 1, 5)]}
    assert draw_figures([fill_grid(grid, once, {}, {})], once) == ()  # one epoch at one rate is no curve


@pytest.mark.parametrize("wrong", [0, 1000])
def test_errors_without_a_logarithm_are_drawn_too(wrong: int) -> None:
    table, epochs = trained("SGD", "uSF")
    same = {run: [replace(point, test_wrong=wrong) for point in points] for run, points in epochs.items()}
    drawn = draw_figures([fill_grid(table.grid, same, {}, {("MNIST", "SGD"): 0.5})], same)
    assert len(drawn) >= 2


def test_labels_are_text_whatever_they_hold() -> None:
    odd = ("$x$ & <y>", "50 % \\frac{1}{", "a_b^c $", "Größe 🟦")
    table, epochs = trained("SGD", "uSF", "NuSF", "BN", headers=odd)
    row = table.grid.rows[0].model_copy(update={"label": "<s>$M$"})
    grid = table.grid.model_copy(update={"rows": (row,), "key": "recipe-../<x>"})
    drawn = draw_figures([fill_grid(grid, epochs, {}, {})], epochs)
    assert names(drawn) == ["recipe-x-1-1-learning-curves", "recipe-x-1-1-rates"]
    texts = "".join(ElementTree.fromstring(drawn[0].svg).itertext())
    for header in odd:
        assert header in texts


def test_files_are_the_same_each_time() -> None:
    table, epochs = trained("SGD", "uSF", *FLIPS)
    first, second = draw_figures([table, table], epochs), draw_figures([table, table], epochs)
    assert [one.svg for one in first] == [one.svg for one in second]
    assert (first[0].png, first[0].pdf) == (second[0].png, second[0].pdf)
    assert first[0].png.startswith(b"\x89PNG")
    assert first[0].pdf.startswith(b"%PDF")
    assert len(set(names(first))) == len(first) == 6


def test_a_column_under_another_protocol_is_no_point_of_the_curve() -> None:
    table, epochs = trained(*FLIPS[:3])
    other = Procedure(
        method=parse_method("brSF-75%+BN+BM"), protocol=table.grid.protocol.model_copy(update={"epochs": 1})
    )
    odd = make_column("odd", [other], table.grid.protocol)
    grid = table.grid.model_copy(update={"columns": (*table.grid.columns, odd)})
    more = epochs | {run.id: [make_epoch(run.id, 1, 5)] for run in grid.runs(grid.rows[0], odd)}
    (signs,) = [
        figure for figure in draw_figures([fill_grid(grid, more, {}, {})], more) if "opposite" in figure.name
    ]
    assert "75 %" not in signs.alt
