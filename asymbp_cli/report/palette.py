"""Colours of pages and figures, on light and on dark ground: one meaning each.

Yellow and blue (`worse`, `better`) are verdicts on cells of tables, and nothing else. In figures green is ours,
red the paper's, grey the baseline and chance.
"""

from collections.abc import Mapping

LIGHT = {
    "ground": "#fbfaf6",
    "ink": "#1b1d21",
    "muted": "#595d66",
    "line": "#d8d4c8",
    "link": "#1d4f86",
    "worse": "#f6df8f",
    "worse-pale": "#faeec4",
    "better": "#bcd9f4",
    "better-pale": "#ddebf9",
    "ours": "#0b6b62",
    "papers": "#a8431b",
    "plain": "#6a6f78",
}
DARK = {
    "ground": "#15171a",
    "ink": "#e9e7e1",
    "muted": "#a9acb2",
    "line": "#373a40",
    "link": "#9cc4ee",
    "worse": "#5f4c0c",
    "worse-pale": "#3a300f",
    "better": "#1d4a75",
    "better-pale": "#17304a",
    "ours": "#5ec9bb",
    "papers": "#f0966b",
    "plain": "#9096a0",
}


def write_variables(colours: Mapping[str, str]) -> str:
    """Return colours as variables of CSS."""
    return " ".join(f"--{name}:{colour};" for name, colour in colours.items())
