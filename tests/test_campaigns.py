"""The scripts that measure a GPU work, tried on the CPU: no rename can break them unseen."""

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = Path("tests/campaigns/gpu")


def run(out: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the project's root; `python3` in it is this Python."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    given = {"PATH": paths, "OUT": str(out), "CHECK_DEVICE": "cpu", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | given, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize(
    ("part", "result", "seconds"), [("times", "times", 300), ("kernels", None, 300), ("micro", "micro", 300)]
)
def test_a_part_measures(part: str, result: str | None, seconds: int, tmp_path: Path) -> None:
    done = run(tmp_path, sys.executable, str(SCRIPTS / "check.py"), part, str(seconds))
    assert done.returncode == 0, done.stdout + done.stderr
    if result is None:
        assert "nodes on" in done.stdout
    else:
        assert len(json.loads((tmp_path / "measures.json").read_text())[result]) >= 3


def test_instructions_of_kernels_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="not run: Triton is not installed")
    script = str(SCRIPTS / "instructions.py")
    done = run(tmp_path, sys.executable, script, "90", "mnist FC 1", TRITON_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 6  # three products in float32 and in bf16
    for line in lines:
        assert re.fullmatch(
            r"mnist FC 1, \w+, \w+_tile: \d+ registers, \d+ B shared, .* a loop of [1-9].*GMMA.*", line
        )


def test_what_agrees_is_said_and_what_does_not(tmp_path: Path) -> None:
    done = run(tmp_path, sys.executable, str(SCRIPTS / "check.py"), "agree", "500")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "measures.json").read_text())["agree"]
    assert {"SGD", "brSF-25%", "uSF+BN"} <= {row["method"] for row in rows}
    for row in rows:
        assert row["graph/plain"] == row["first step, plain/fused"] == row["first step, GPU/CPU fp32"] == 0
    code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import agree; print(agree._acceptable({{}} | "
    row = rows[0] | {"graph/plain": 0.5}
    done = run(tmp_path, sys.executable, "-c", f"{code}{row!r}))")
    assert done.stdout.strip() == "False", done.stderr


def test_the_whole_run_ends_with_a_table_and_its_store(tmp_path: Path) -> None:
    done = run(
        tmp_path / "out",
        "bash",
        str(SCRIPTS / "run.sh"),
        "400",  # it ends long before
        PHASES="table",
        STAGE="nothing",
        TABLE="2",
        DATASET="digits",
        PROTOCOL="quick",
        RESULTS=str(tmp_path / "kept"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--device cpu: exit 0" in done.stdout, done.stdout
    assert "| digits " in (tmp_path / "out" / "results.md").read_text()
    with tarfile.open(tmp_path / "out" / "results.tgz") as archive:
        assert {"asymbp.sqlite", "tables.csv"} <= set(archive.getnames())


def test_recipes_run_in_lanes(tmp_path: Path) -> None:
    recipe = (ROOT / "recipes" / "examples" / "usf-digits.yaml").read_text()
    for name in ("first", "second", "third"):
        text = recipe.replace("protocol: demo", "protocol: {extends: demo, epochs: 1}")
        assert text != recipe
        (tmp_path / f"{name}.yaml").write_text(text)
    lanes = f"{tmp_path}/first.yaml,{tmp_path}/second.yaml {tmp_path}/third.yaml"
    whole = {"PHASES": "recipes", "STAGE": "nothing", "LANES": lanes, "RESULTS": str(tmp_path / "kept")}
    done = run(tmp_path / "out", "bash", str(SCRIPTS / "run.sh"), "400", **whole)
    assert done.returncode == 0, done.stdout + done.stderr
    logs = [(tmp_path / "out" / f"{lane}.log").read_text() for lane in ("lane1", "lane2")]
    assert [log.count("--device cpu: exit 0") for log in logs] == [2, 1], logs
    for lane in ("lane1", "lane2"):
        assert (tmp_path / "out" / f"{lane}.tgz").is_file()
        assert "digits" in (tmp_path / "out" / f"{lane}.md").read_text()


def test_a_run_that_is_out_of_time_keeps_what_it_has(tmp_path: Path) -> None:
    options = ["--table", "all", "--dataset", "digits", "--protocol", "paper", "--device", "cpu"]
    script = str(SCRIPTS / "reproduce.py")
    done = run(tmp_path, sys.executable, script, "14", str(tmp_path / "kept" / "results"), "reproduce", *options)
    assert "time is up" in done.stdout
    assert done.returncode == 143, done.stdout + done.stderr
    assert (tmp_path / "results.tgz").is_file()
    assert "runs are done" in (tmp_path / "results.md").read_text()
