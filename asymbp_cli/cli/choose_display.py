"""The choice among displays; it knows all of them, so that none of them has to know another."""

import sys

from asymbp_cli.cli.display import Display, PlainLines
from asymbp_cli.cli.json_lines import JsonLines
from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.cli.streams import can_redraw


def choose_display(progress: StudyProgress, *, quiet: bool, as_json: bool) -> Display:
    """Return the display that fits the options and the terminal."""
    if as_json:
        return JsonLines(progress)
    if quiet:
        return Display(progress)
    if not can_redraw(sys.stderr):
        return PlainLines(progress)
    from asymbp_cli.cli.live import LiveDisplay  # rich, which only a terminal needs

    return LiveDisplay(progress)
