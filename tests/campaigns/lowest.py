"""Runs the suite with the lowest version of every dependency that pyproject.toml allows.

python tests/campaigns/lowest.py FOLDER [PYTEST OPTION ...]: makes an environment in FOLDER (several GB; delete it
afterwards), unless it is there already, and runs the suite in it. Exit code: pytest's.
"""

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def pin(line: str) -> str:
    """Return a requirement with its lower bound as its only version; as it is if it has none."""
    requirement = Requirement(line)
    lowest = [spec.version for spec in requirement.specifier if spec.operator in (">=", "==", "~=")]
    return f"{requirement.name}=={lowest[0]}" if lowest else requirement.name


def read_requirements(file: Path) -> list[str]:
    """Return every requirement in a pyproject.toml, pinned; of two bounds on one package the higher one counts."""
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return list(dict.fromkeys(map(pin, lines)))


def make_environment(folder: Path) -> Path:
    """Make an environment with the lowest versions in `folder` unless there is one; return its Python."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *read_requirements(ROOT / "pyproject.toml")], check=True)
        subprocess.run([*pip, "--no-deps", "--editable", str(ROOT)], check=True)
        (folder / "complete").touch()
    return python


def main(folder: Path, options: list[str]) -> int:
    """Run the suite; return its exit code."""
    python = make_environment(folder)
    subprocess.run([python, "-m", "pip", "list", "--format", "freeze"], check=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{python.parent}:{os.environ['PATH']}"}
    return subprocess.run([python, "-m", "pytest", "-q", *options], cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
