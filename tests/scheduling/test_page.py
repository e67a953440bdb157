"""The page on scheduling has the numbers that the program computes, and those of the trainings that it plans."""

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from click.testing import CliRunner
from foreign_results import decode

from asymbp_cli.cli.app import cli
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.results.contents import StoredRun
from asymbp_cli.scheduling.stack_costs import cost_stacks
from asymbp_cli.scheduling.steps_file import load_steps
from asymbp_cli.specs.runs import Stack
from asymbp_cli.text import format_duration

PAGE = Path(__file__).parents[2] / "asymbp_cli/scheduling/README.md"
TEXT = PAGE.read_text(encoding="utf-8")
CAMPAIGN = recipes_directory() / "results/campaigns/tables-mnist-paper.jsonl.xz"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data and no results, whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASYMBP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ASYMBP_DATA", str(tmp_path / "data"))


def run(command: str) -> str:
    name, *arguments = shlex.split(command)
    assert name == "asymbp"
    return CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False).stdout


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its header."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def plan(command: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(f"{command.strip('`')} --json"))
    return found


def test_the_page_shows_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (printed,) = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    (command,) = re.findall(r"^asymbp plan .* --price 2\.50$", TEXT, re.MULTILINE)
    assert run(command) == printed


@pytest.mark.parametrize("row", rows("How cost grows"), ids=lambda row: row[0])
def test_growing_costs_are_those_of_the_program(row: list[str]) -> None:
    *_, runs, stacks, hours, command = row
    found = plan(command)
    computed = f"{found['runs']:,}", f"{found['tasks']['tasks']:,}", f"{found['worker_seconds'] / 3600:.2f}"
    assert computed == (runs, stacks, hours)


@pytest.mark.parametrize("row", rows("The whole paper"), ids=lambda row: row[0])
def test_the_costs_of_the_paper_are_those_of_the_program(row: list[str]) -> None:
    found = plan(row[-1])
    played = found["schedule"]
    computed = [
        f"{found['runs']:,}",
        f"{found['tasks']['tasks']:,}",
        f"{played['worker_hours']:.1f}",
        format_duration(played["makespan_seconds"]),
        f"{100 * played['utilization']:.0f} %",
    ]
    assert computed == row[1:-1]


def trained() -> Iterator[list[str]]:
    """Yield the rows of the last table: the stacks that the kernels of today have trained."""
    contents = decode(CAMPAIGN.read_bytes(), CAMPAIGN)
    (dataset,) = contents.datasets.values()
    stacks: dict[float, list[StoredRun]] = defaultdict(list)
    for stored in contents.runs.values():
        if stored.attempts[-1].software["asymbp"] != "0.3.0":
            stacks[stored.attempts[-1].started].append(stored)
    steps, seen = load_steps("h100"), dict[str, tuple[str, float, float]]()
    for _, members in sorted(stacks.items()):
        runs = [stored.run for stored in members]
        measured = sum(median(epoch.seconds for epoch in stored.epochs[2:]) for stored in members)
        (cost,) = cost_stacks([Stack(tuple(runs))], {run.dataset: dataset for run in runs}, steps)
        method = runs[0].method
        words = [
            "with BN" if method.batch_norm != "none" else "",
            "last layer only" if method.train == "top" else "",
        ]
        name = ", ".join(filter(None, (f"{len(runs)}", *words)))
        where = members[0].attempts[-1].device.partition("NVIDIA ")[2][:4]
        seen.setdefault(f"{name} | {where}", (name, measured, sum(cost.epoch_seconds.values())))
    for key, (_, measured, planned) in seen.items():
        yield [*key.split(" | "), f"{measured:.2f} s", f"{planned:.2f} s", f"{measured / planned:.2f}"]


def test_what_was_planned_is_next_to_what_was_measured() -> None:
    assert [row[:5] for row in rows("Next to what was measured")] == list(trained())


if __name__ == "__main__":
    print(*(f"| {' | '.join(row)} |" for row in trained()), sep="\n")
