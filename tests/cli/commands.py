"""Commands of the tool, as a process or in this one."""

import os
import subprocess
import sys
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from asymbp_cli.cli import app

ROOT = Path(__file__).parent.parent.parent

TINY = ("--set", "protocol.epochs=1", "--set", "protocol.rate_multipliers=[1]", "--workers", "1")


def run(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the tool as a process; it never shows a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "asymbp_cli", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def invoke(*arguments: str) -> Result:
    """Run the tool in this process."""
    return CliRunner().invoke(app.cli, arguments, catch_exceptions=True)


def recipe(directory: Path, **content: object) -> Path:
    file = directory / "mine.yaml"
    file.write_text(yaml.safe_dump({"dataset": "digits", "method": "uSF+BN+BM", "protocol": "demo"} | content))
    return file
