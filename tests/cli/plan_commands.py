"""Calls of `asymbp plan` in a directory of their own, with steps whose seconds are made up."""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from asymbp_cli.bench import rehearsal
from asymbp_cli.cli.app import cli
from asymbp_cli.errors import AsymbpError
from asymbp_cli.specs.runs import Run, representatives

STEP = 0.01  # seconds, made up
STEPS = "--step-seconds ./steps.csv"
HEAD = "device,model,memory_gib,network,replicas,milliseconds\n"


def asymbp(line: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False, standalone_mode=False)
    assert done.return_value in (0, None)
    return done.stdout


def numbers(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(asymbp(f"{line} --json"))
    return found


def without_hours(tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return tables with what a dry run says of them."""
    return [{key: value for key, value in table.items() if key != "worker_seconds"} for table in tables]


def refuse(line: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(line), standalone_mode=False)
    assert done.exception
    message = done.exception.format_message() if hasattr(done.exception, "format_message") else str(done.exception)
    assert isinstance(done.exception, AsymbpError) or hasattr(done.exception, "format_message")
    assert "\n" not in message
    return message


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data and no results; a step of any network takes as long."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASYMBP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ASYMBP_DATA", str(tmp_path / "data"))
    Path("steps.csv").write_text(HEAD + "cuda,a GPU,16,mnist,1,1\ncuda,a GPU,16,mnist,64,10\n")

    def time_steps(runs: Iterable[Run], device: str) -> dict[object, float]:
        return dict.fromkeys(representatives(runs), STEP)

    monkeypatch.setattr(rehearsal, "time_steps", time_steps)


def write_recipe() -> Path:
    file = Path("one.yaml")
    file.write_text("dataset: digits\nmethod: SGD\nprotocol: {extends: demo, epochs: 1, rate_multipliers: [1]}\n")
    return file
