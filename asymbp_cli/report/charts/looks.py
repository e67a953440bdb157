"""How lines, markers and words look: the same in every figure, whatever draws it."""

from collections.abc import Mapping
from dataclasses import dataclass

from asymbp_cli.report.palette import DARK, LIGHT


@dataclass(frozen=True)
class Stroke:
    """How a line is drawn: the colour's name in the palette; width and dashes in pixels."""

    colour: str
    width: float
    dashes: tuple[float, ...] = ()


STROKES = {
    "ours": Stroke("ours", 1.8),
    "training": Stroke("ours", 1.2, (1.5, 2)),
    "papers": Stroke("papers", 1.5, (6, 2.5)),
    "baseline": Stroke("plain", 1.2),
    "chance": Stroke("plain", 1.5, (1.5, 3)),
    "dead": Stroke("ink", 1.6),
    "frame": Stroke("muted", 1),
    "grid": Stroke("line", 1),
}
WORDS = {"title": "ink", "tick": "muted", "label": "ink"}  # colours
BAND_OPACITY = 0.22
FONT_SIZE = 11
FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif'


def write_rules(scope: str) -> str:
    """Return the CSS for drawings inside elements that `scope` selects, which are in a page with the palette."""
    return _write_shapes(scope) + _write_colours({name: f"var(--{name})" for name in LIGHT}, scope)


def write_own_rules() -> str:
    """Return the CSS of a drawing that stands alone: its page decides between light and dark."""
    dark = _write_colours(DARK, "svg")
    return f"{_write_shapes('svg')}{_write_colours(LIGHT, 'svg')}@media(prefers-color-scheme:dark){{{dark}}}"


def _write_shapes(scope: str) -> str:
    general = (
        f"{scope} path,{scope} circle{{fill:none;stroke:currentColor;stroke-linejoin:round}}"
        f"{scope} .full{{fill:currentColor}}"
        f"{scope} .band{{fill:currentColor;stroke:none;opacity:{BAND_OPACITY}}}"
        f"{scope} text{{fill:currentColor;font:{FONT_SIZE}px {FONT}}}"
        f"{scope} .title{{font-weight:600}}"
    )
    strokes = (
        f"{scope} .{name}{{stroke-width:{stroke.width}"
        + (f";stroke-dasharray:{' '.join(map(str, stroke.dashes))}" if stroke.dashes else "")
        + "}"
        for name, stroke in STROKES.items()
    )
    return general + "".join(strokes) + f"{scope} .mark{{stroke-dasharray:none}}"


def _write_colours(colours: Mapping[str, str], scope: str) -> str:
    names = {name: stroke.colour for name, stroke in STROKES.items()} | WORDS
    return "".join(f"{scope} .{name}{{color:{colours[colour]}}}" for name, colour in names.items())
