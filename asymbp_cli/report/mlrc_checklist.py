"""The Machine Learning Reproducibility Checklist: where each answer is, or that only the author has it."""

from collections.abc import Iterator, Sequence

from asymbp_cli.analysis.tables import FilledGrid

_DONE, _OPEN = "- [x]", "- [ ]"


def write_checklist(tables: Sequence[FilledGrid]) -> Iterator[str]:
    """Yield the checklist in our words; a box is ticked if the report has the answer."""
    yield "## Reproducibility checklist"
    yield _section(
        "Models and algorithms",
        (_DONE, "the mathematical setting, algorithm and model: section 3.1"),
        (_OPEN, "the assumptions. TODO: say which you make beyond the paper's"),
        (_DONE, "complexity: weights and operations per sample in section 3.1, hours in section 3.5"),
    )
    yield _section("Theoretical claims", (_DONE, "none are made: the claims of section 2 are empirical"))
    yield _section(
        "Datasets",
        (_DONE, "statistics, such as numbers of examples: section 3.2"),
        (_DONE, "the split into training, validation and test sets: section 3.2 and `validation_fraction` in 3.3"),
        (_OPEN, "what was excluded, and all preprocessing. TODO: besides resizing (`resize` in 3.3)"),
        (_OPEN, "where the data can be had. TODO: links; fingerprints are in section 3.4"),
        (_OPEN, "new data: how it was collected, and its quality. TODO, or: none"),
    )
    yield _section(
        "Code",
        (_DONE, "dependencies with their versions: section 3.4"),
        (_DONE, "code for training and evaluation: the commands in section 3.4"),
        (
            _OPEN,
            "trained models. TODO: publish them (`asymbp export RUN --weights FILE`), or say why not",
        ),
        (_DONE, "the command behind each number: `asymbp report --to csv`, column `command`"),
    )
    yield _section(
        "Results",
        (_DONE, "the range of hyperparameters, how the best were picked, and all values used: section 3.3"),
        (_DONE if all(_is_complete(filled) for filled in tables) else _OPEN, _count_runs(tables)),
        (_DONE, "the measure: test error in percent, and the rule below each table"),
        _describe_variation(tables),
        (_DONE, "average time per result, computing infrastructure: section 3.5"),
    )


def _section(title: str, *points: tuple[str, str]) -> str:
    return f"### {title}\n\n" + "\n".join(f"{box} {text}" for box, text in points)


def _is_complete(filled: FilledGrid) -> bool:
    return all(cell.complete or not cell.wanted for cells in filled.cells for cell in cells)


def _count_runs(tables: Sequence[FilledGrid]) -> str:
    cells = [cell for filled in tables for cells in filled.cells for cell in cells]
    ended, wanted = sum(cell.ended for cell in cells), sum(cell.wanted for cell in cells)
    unfinished = "" if ended == wanted else ". TODO: rerun the commands in section 3.4 to train the rest"
    return f"the number of runs: {ended:,} of {wanted:,}, counted cell by cell{unfinished}"


def _describe_variation(tables: Sequence[FilledGrid]) -> tuple[str, str]:
    cells = [cell for filled in tables for cells in filled.cells for cell in cells]
    seeds = min((len(cell.picks) for cell in cells if cell.wanted), default=0)
    if seeds > 1:
        return (
            _DONE,
            f"central tendency and variation: medians and ranges over at least {seeds} seeds, standard errors",
        )
    if all(len(filled.grid.seeds) > 1 for filled in tables):
        return _OPEN, "central tendency and variation. TODO: some cells have too few seeds so far. Train the rest"
    return (
        _OPEN,
        "central tendency and variation. TODO: cells of one seed have no spread. Train more (`--seeds 5`), or say "
        "why not",
    )
