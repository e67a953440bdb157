"""Measures are drawn by layer, if they say something."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from drawn_figures import Epochs, names, plotted, trained

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.figures import draw_figures
from asymbp_cli.specs.measures import title_of


def measured(filled: FilledGrid, epochs: Epochs, key: str, values: Sequence[dict[int, float | None]]) -> Epochs:
    """Return the epochs of a grid with a measure in those of its second column."""
    runs = {run.id for run in filled.grid.runs(filled.grid.rows[0], filled.grid.columns[1])}
    return {
        run: [replace(p, measures={key: v}) if run in runs else p for p, v in zip(points, values, strict=True)]
        for run, points in epochs.items()
    }


def test_angles_are_drawn_by_layer_where_v_is_not_w() -> None:
    filled, epochs = trained("SGD", "uSF")
    angles: list[dict[int, float | None]] = [{3: 90.0, 5: 30.0}, {3: 80.0, 5: None}, {3: 70.0, 5: 20.0}]
    (figure,) = (
        f for f in draw_figures([filled], measured(filled, epochs, "angle", angles)) if f.name.endswith("angle")
    )
    lines = [("ours", [1.0, 2.0, 3.0], [90.0, 80.0, 70.0]), ("ours", [1.0, 3.0], [30.0, 20.0])]
    assert plotted([figure], "angle") == lines
    (panel,) = figure.chart.panels
    assert panel.levels == (("chance", 90.0),)
    assert [one.label for one in panel.series] == ["3", "5"]
    assert "uSF 70, 20." in figure.alt


@pytest.mark.parametrize(("key", "exact"), [("angle", 0.0), ("agreement", 1.0)])
def test_a_measure_that_says_nothing_is_not_drawn(key: str, exact: float) -> None:
    filled, epochs = trained("SGD", "uSF")
    same = measured(filled, epochs, key, [{3: exact}] * 3)
    once = measured(filled, epochs, key, [{3: 0.5}, {}, {}])
    for points in (same, once):
        assert not [name for name in names(draw_figures([filled], points)) if name.endswith(key)]


@pytest.mark.parametrize("key", ["rank", "spectral@00112233aabbccdd"])
def test_measures_that_were_asked_for_are_drawn(key: str) -> None:
    """Those of plugins that are not loaded, too: their name is the title."""
    filled, epochs = trained("SGD", "uSF")
    ranks: list[dict[int, float | None]] = [{0: 2.0, 3: 8.0}, {0: 3.0, 3: None}, {0: 4.0, 3: 6.0}]
    drawn = {figure.name: figure for figure in draw_figures([filled], measured(filled, epochs, key, ranks))}
    name = f"table-2-1-1-{key.replace('@', '-')}"
    lines = [("ours", [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]), ("ours", [1.0, 3.0], [8.0, 6.0])]
    assert plotted([drawn[name]], name) == lines
    assert drawn[name].chart.panels[0].levels == ()
    assert drawn[name].caption.startswith(f"{title_of(key).capitalize()}, on ")
    assert "A line's number is its layer, 0 the whole network." in drawn[name].caption
    assert "chance" not in [entry.text for entry in drawn[name].chart.key]


def test_norm_ratios_are_not_drawn() -> None:
    filled, epochs = trained("SGD", "uSF")
    points = measured(filled, epochs, "norm-ratio", [{3: 0.5}, {3: 0.6}, {3: 0.7}])
    assert not [name for name in names(draw_figures([filled], points)) if name.endswith("norm-ratio")]
