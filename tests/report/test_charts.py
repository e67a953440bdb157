"""Charts: round ticks that do not touch, text that stays inside, the same shapes in every format."""

import itertools
import logging
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import sample_document as sample

from asymbp_cli.report.charts.chart import (
    Axis,
    Chart,
    Label,
    Panel,
    Series,
    make_error_axis,
    make_linear_axis,
    make_log_axis,
)
from asymbp_cli.report.charts.layout import Mark, Path, Words, fit_text, lay_out_chart, lay_out_panel, measure_text
from asymbp_cli.report.charts.pictures import draw_pdf, draw_png
from asymbp_cli.report.charts.svg import write_file, write_panel
from asymbp_cli.report.palette import DARK, LIGHT


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (make_linear_axis(1, 65, "", whole=True), (1, 20, 40, 60)),
        (make_linear_axis(1, 20, "", whole=True), (1, 5, 10, 15, 20)),
        (make_linear_axis(1, 2, "", whole=True), (1, 2)),
        (make_linear_axis(1, 7, "", whole=True), (1, 2, 4, 6)),
        (make_linear_axis(1, 1000, "", whole=True), (1, 250, 500, 750, 1000)),
        (make_error_axis([2.0, 4.0]), (0, 2, 4)),
        (make_error_axis([0.0, 100.0]), (0, 50, 100)),
        (make_error_axis([]), (0, 0.5, 1)),
        (make_error_axis([0.0]), (0, 0.25, 0.5, 0.75, 1)),
        (make_error_axis([0.5, 88.65]), (1, 3, 10, 30, 100)),
        (make_error_axis([20.0, 90.0]), (0, 25, 50, 75)),
        (make_error_axis([12.0, 90.0]), (10, 20, 50, 100)),
    ],
)
def test_ticks_are_round_and_few(axis: Axis, ticks: tuple[float, ...]) -> None:
    assert len(axis.ticks) <= 5
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    assert axis.ticks == ticks


def chart_of(*series: Series, x: Axis, title: str = "", labels: tuple[Label, ...] = ()) -> Chart:
    return Chart((Panel(title, "", series, labels=labels),), x, make_error_axis([1.0, 3.0]))


def boxes(chart: Chart, kind: str) -> list[tuple[float, float, float, float]]:
    """Return left, top, right and bottom of every text of a kind in the first panel."""
    found = []
    for shape in lay_out_panel(chart, chart.panels[0]):
        if isinstance(shape, Words) and shape.kind == kind:
            (x, y), width = shape.place, measure_text(shape.text)
            left = x - {"start": 0.0, "middle": width / 2, "end": width}[shape.anchor]
            found.append((left, y - 9, left + width, y))
    return found


def test_numbers_of_ticks_never_touch() -> None:
    rates = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
    for ticks in (rates[::-1], (0.8, 0.9, 1.0, 1.1, 1.2), (0.001, 0.01, 0.1, 1, 10, 100, 1000)):
        chart = chart_of(x=make_log_axis(min(ticks) / 1.3, max(ticks) * 1.3, "", ticks))
        found = [box for box in boxes(chart, "tick") if box[3] > chart.height - 15]
        assert len(found) >= 3
        assert all(a[2] < b[0] for a, b in itertools.pairwise(found))


def test_labels_at_the_ends_of_lines_are_apart_and_inside() -> None:
    lines = (Series("ours", [1, 2], [1.0, 0.01 * k], label=f"{k}") for k in range(8))
    chart = chart_of(*lines, x=make_linear_axis(1, 2, "", whole=True))
    found = sorted(boxes(chart, "label"), key=lambda box: box[3])
    assert all(b[3] - a[3] >= 10.9 for a, b in itertools.pairwise(found))
    assert found[-1][3] <= chart.height - 10
    assert found[0][1] > 0


def test_names_of_points_are_apart() -> None:
    labels = tuple(Label(1.5, 2.0, f"uSF+BN+BM on MNIST {k}") for k in range(5))
    found = boxes(chart_of(x=make_linear_axis(1, 2, ""), labels=labels), "label")
    heights = sorted(box[3] for box in found)
    assert all(b - a >= 10.9 for a, b in itertools.pairwise(heights))


@pytest.mark.parametrize(
    "title", ["brSF-25%+BN+BM with epochs=3, batch_size=50, weight_decay=0", "権重対称性" * 20]
)
def test_long_titles_are_cut(title: str) -> None:
    chart = chart_of(x=make_linear_axis(1, 2, ""), title=title)
    ((left, _, right, _),) = boxes(chart, "title")
    assert (left, right <= chart.width) == (0, True)
    assert fit_text("uSF", 200) == "uSF"
    (words,) = [s for s in lay_out_panel(chart, chart.panels[0]) if isinstance(s, Words) and s.kind == "title"]
    assert words.text.endswith("…")


def test_what_is_outside_the_axes_is_drawn_at_their_edge() -> None:
    chart = chart_of(Series("ours", [1, 2], [0.0, 99.0]), x=make_linear_axis(1, 2, ""))
    chart = replace(chart, y=make_log_axis(1.0, 10.0, ""))
    (path,) = [s for s in lay_out_panel(chart, chart.panels[0]) if isinstance(s, Path) and s.look == "ours"]
    heights = [y for _, y in path.pieces[0]]
    frame = [
        y
        for s in lay_out_panel(chart, chart.panels[0])
        if isinstance(s, Path) and s.look == "grid"
        for p in s.pieces
        for _, y in p
    ]
    assert heights == [max(frame), min(frame)]


def test_a_file_has_its_own_colours_for_light_and_dark() -> None:
    text = write_file(sample.CHART, sample.FIGURE.alt)
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == sample.FIGURE.alt
    light, dark = text.split("@media(prefers-color-scheme:dark)")
    assert LIGHT["ours"] in light
    assert DARK["ours"] in dark
    assert "var(" not in text
    assert "id=" not in text
    assert "<script" not in text
    assert "a < b" in "".join(root.itertext())


def test_pictures_have_every_shape_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    width, height, shapes = lay_out_chart(sample.CHART)
    assert all(any(isinstance(shape, kind) for shape in shapes) for kind in (Path, Mark, Words))
    assert draw_png(sample.CHART) == draw_png(sample.CHART)
    assert draw_pdf(sample.CHART) == draw_pdf(sample.CHART)
    size = re.search(rb"/MediaBox \[ 0 0 ([0-9.]+) ([0-9.]+) \]", draw_pdf(sample.CHART))
    assert size is not None
    assert [float(text) for text in size.groups()] == pytest.approx([0.75 * width, 0.75 * height], rel=1e-3)
    png = draw_png(sample.CHART)
    assert [int.from_bytes(png[at : at + 4], "big") for at in (16, 20)] == pytest.approx(
        [2 * width, 2 * height], abs=1
    )


def test_a_panel_in_a_page_takes_its_colours() -> None:
    text = write_panel(sample.CHART, sample.CHART.panels[0], "a < b")
    assert 'aria-label="a &lt; b"' in text
    assert "style" not in text
    assert "#" not in text


def test_the_first_figure_on_a_machine_is_drawn_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    draw_png(sample.CHART)
    fonts = logging.getLogger("matplotlib.font_manager")
    fonts.warning("Matplotlib is building the font cache; this may take a moment.")
    assert not caplog.records
    fonts.warning("findfont: Font family 'x' not found.")
    assert len(caplog.records) == 1
