"""What the live display shows of a running study, in the lines and columns that the terminal has."""

from collections.abc import Iterable, Mapping, Sequence

from rich.text import Text

from asymbp_cli.analysis.tables import select_epoch
from asymbp_cli.cli.display import describe_time
from asymbp_cli.cli.layout import measure
from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.specs.runs import Run
from asymbp_cli.text import count

_MOST_STACKS = 8
_WIDEST_BAR = 120
_GAP = 3  # columns between errors


def render_progress(progress: StudyProgress, width: int = 80, height: int = 24) -> Text:
    """Return progress, stacks in training, and the best error so far of each cell: at most so many lines."""
    lines = [Text(_headline(progress, width), style="bold"), _bar(progress.share, min(width, _WIDEST_BAR))]
    stacks = progress.describe_stacks()[:_MOST_STACKS] if progress.waiting is None else []
    lines += [Text(f"now: {line}", style="dim") for line in stacks[: max(height - len(lines), 0)]]
    lines += _draw_errors(progress, width, height - len(lines))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    text = Text("\n", no_wrap=True, overflow="crop").join(lines)
    text.no_wrap, text.overflow = True, "crop"
    return text


def _headline(progress: StudyProgress, width: int) -> str:
    """Return one line: runs, share of the work, time, throughput if it fits; or what everything waits for."""
    if progress.waiting:
        return f"{progress.waiting}: {describe_time(progress)}"
    runs = f"{progress.ended}/{len(progress.remaining)} runs"
    line = f"{runs}, {100 * progress.share:.0f} % done, {describe_time(progress)}"
    longer = f"{line}, {progress.samples_per_second:,.0f} samples/s"
    return longer if len(longer) <= width else line


def _bar(share: float, width: int) -> Text:
    done = round(share * width)
    return Text.assemble(("━" * done, "green"), ("─" * (width - done), "dim"))


def _draw_errors(progress: StudyProgress, width: int, height: int) -> list[Text]:
    """Return methods as rows and datasets as columns; what several tables share is listed once.

    If there is too little room, those in training are shown.
    """
    cells = progress.cells
    training = {run for runs in progress.active.values() for run in runs}
    active = {name for names, runs in cells.items() if training & runs.keys() for name in names}
    methods = list(dict.fromkeys(method for method, _ in cells))
    labels = list(dict.fromkeys(label for _, label in cells))
    legend = _explain_marks(progress)
    rows, hidden_rows = _choose(methods, active, height - 2 - len(legend))
    first = max(map(measure, rows), default=0)
    sizes = {label: max(measure(label), len("100.00=*")) + _GAP for label in labels}
    columns, hidden_columns = _choose(labels, active, (width - first) // max(sizes.values(), default=1))
    if not rows or not columns:
        return []
    is_held_out = any(point.validation_seen for point in progress.best.values())
    lines = [Text(f"{'selected' if is_held_out else 'best'} test error so far, percent", style="dim")]
    lines.append(Text(" " * first + "".join(_right(label, sizes[label]) for label in columns), style="bold"))
    for method in rows:
        errors = (_right(_best_error(progress, cells.get((method, at), {})), sizes[at]) for at in columns)
        name = method + " " * (first - measure(method))
        lines.append(Text(name + "".join(errors), style="" if method in active or not training else "dim"))
    if hidden_rows or hidden_columns:
        lines.append(Text(_describe_hidden(hidden_rows, hidden_columns), style="dim"))
    return lines + legend


def _choose(names: Sequence[str], active: Iterable[str], room: int) -> tuple[list[str], int]:
    """Return the names that there is room for, in their order, and how many others there are.

    Those that are `active` come first. If not all fit, one line or column fewer is left, to say so.
    """
    if len(names) <= room:
        return list(names), 0
    wanted = sorted(names, key=lambda name: name not in active)[: max(room - 1, 0)]
    return [name for name in names if name in wanted], len(names) - len(wanted)


def _describe_hidden(rows: int, columns: int) -> str:
    parts = [count(number, noun) for number, noun in ((rows, "method"), (columns, "dataset")) if number]
    return f"and {' and '.join(parts)} more"


def _right(text: str, width: int) -> str:
    return " " * (width - measure(text)) + text


def _explain_marks(progress: StudyProgress) -> list[Text]:
    """Return the meaning of marks, and the number of runs that have them, if any has."""
    marked = (("*", "diverged", progress.diverged), ("=", "collapsed", progress.collapsed))
    parts = [f"{mark} {count(len(runs), 'run')} {what}" for mark, what, runs in marked if runs]
    return [Text("; ".join(parts), style="yellow")] if parts else []


def _best_error(progress: StudyProgress, runs: Mapping[str, Run]) -> str:
    """Return the test error of the epoch that the rule selects among all runs of a cell, so far."""
    selected = select_epoch(
        (progress.best[run_id], run) for run_id, run in runs.items() if run_id in progress.best
    )
    if selected is None:
        return "-"
    point, _ = selected
    marks = ("=" if point.one_class else "") + ("*" if runs.keys() & progress.diverged else "")
    return f"{point.test_percent:.2f}{marks:<2}"
