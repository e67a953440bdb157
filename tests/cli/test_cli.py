"""The command line as a user meets it: exit codes, messages, modes of output, resuming."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import ROOT, TINY, invoke, recipe, run

from asymbp_cli.cli.ls import LISTS


def usf_run(directory: Path) -> str:
    """Return the id of a run of uSF."""
    listed = run("ls", "runs", directory=directory).stdout
    return next(line.split()[0] for line in listed.splitlines() if "uSF" in line)


def test_a_table_from_nothing_to_a_report(tmp_path: Path) -> None:
    first = run("reproduce", "--table", "2", *TINY, directory=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "12 runs to train" in first.stderr
    assert "[12/12]" in first.stderr
    assert "brSF+BN+BM" in first.stdout
    assert "Protocol: demo with epochs=1, rate_multipliers=[1.0]" in first.stdout
    assert sorted(p.name for p in (tmp_path / "results").glob("asymbp.sqlite")) == ["asymbp.sqlite"]
    assert not list((tmp_path / "results" / "checkpoints").glob("*"))

    again = run("reproduce", "--table", "2", *TINY, directory=tmp_path)
    assert again.returncode == 0
    assert "to train" not in again.stderr
    assert again.stdout == first.stdout

    other = run("reproduce", "--table", "5", *TINY, directory=tmp_path)
    assert "4 runs to train" in other.stderr  # BM2, BM3, and the same under uSF+BN; the rest is there

    report = run("report", "--to", "markdown", "--output", "report.md", directory=tmp_path)
    assert report.returncode == 0
    text = (tmp_path / "report.md").read_text()
    assert "## Table 2" in text
    assert "## Table 5" in text
    assert "asymbp reproduce --table 2" in text
    instruction_set = torch.backends.cpu.get_cpu_capability()
    assert re.search(rf"\| instruction set +\| {instruction_set} +\|", text)
    listed = run("ls", "runs", directory=tmp_path)
    assert len(listed.stdout.splitlines()) == 2 + 16
    shown = run("show", listed.stdout.splitlines()[2][:8], directory=tmp_path)
    assert "test error" in shown.stdout
    assert "Angle between V and W, degrees" in run("show", usf_run(tmp_path), directory=tmp_path).stdout
    assert re.search(rf"attempt .* cpu \(.*\) \({instruction_set}\) on ", shown.stdout)


def test_json_lines_end_with_the_table(tmp_path: Path) -> None:
    recipe(tmp_path)
    done = run("train", "--recipe", "mine.yaml", "--json", *TINY, directory=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [line["event"] for line in lines]
    assert kinds[0] == "plan"
    assert {"EpochEnded", "RunFinished"} <= set(kinds)
    worker = lines[kinds.index("WorkerFound")]
    assert kinds.index("WorkerFound") < kinds.index("EpochEnded")
    assert worker["provenance"]["host"] == platform.node()
    assert worker["provenance"]["software"]["python"] == platform.python_version()
    assert kinds[-1] == "table"
    assert {line["dataset_name"] for line in lines if line["kind"] == "epoch_ended"} == {"digits"}
    assert {line["column"] for line in lines if "run" in line} == {"uSF+BN+BM"}
    assert len({re.sub("[a-z_]", "", line["kind"]) for line in lines}) == 1
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    (cell,) = lines[-1]["cells"]
    assert cell["column"] == "uSF+BN+BM"
    assert cell["seen"] == 360
    assert not done.stderr


def test_quiet_prints_the_table_only(tmp_path: Path) -> None:
    recipe(tmp_path)
    done = run("train", "--recipe", "mine.yaml", "--quiet", *TINY, directory=tmp_path)
    assert done.returncode == 0
    assert not done.stderr
    assert "uSF+BN+BM" in done.stdout


def test_a_dry_run_trains_and_writes_nothing(tmp_path: Path) -> None:
    done = run("reproduce", "--table", "2", "--dry-run", directory=tmp_path)
    assert "to train: 60 of 60 runs" in done.stdout
    assert not (tmp_path / "results").exists()


def test_ctrl_c_exits_with_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "asymbp_cli", "reproduce", "--table", "2", "--workers", "2", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "EpochEnded":
            break
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    assert "interrupted" in errors
    assert "Traceback" not in errors
    listed = run("ls", "runs", directory=tmp_path)
    assert listed.returncode == 0


def test_table_1_is_computed() -> None:
    text = invoke("reproduce", "--table", "1").output
    assert "Conv 9x9x48/2" in text
    assert "FC max(256, 3*classes) = FC 306" in text
    assert "431,080" in text


@pytest.mark.parametrize("what", sorted({*LISTS} - {"runs"}))
def test_ls(what: str) -> None:
    done = invoke("ls", what)
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 3


def test_seeds_repeat_the_table_and_give_medians(tmp_path: Path) -> None:
    done = run("reproduce", "--table", "5", *TINY, "--seeds", "2", "--seed", "3", "--json", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    first, *_, last = map(json.loads, done.stdout.splitlines())
    assert {planned["seed"] for planned in first["runs"]} == {3, 4}
    cells = [cell for cell in last["cells"] if cell["column"] == "SGD"]
    assert [cell["seed"] for cell in cells] in ([3, 4], [4, 3])
    middle = sum(cell["error_percent"] for cell in cells) / 2
    assert all(cell["median_percent"] == pytest.approx(middle, abs=1e-3) for cell in cells)


def test_the_held_out_rule_is_another_set_of_runs_and_can_be_compared(tmp_path: Path) -> None:
    table = tmp_path / "two.yaml"
    table.write_text("title: Two\ncolumns: [SGD, BN]\n")
    for rule in ("paper", "held-out"):
        done = run("reproduce", "--table", "./two.yaml", *TINY, "--rule", rule, directory=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "2 runs to train" in done.stderr
        assert ("validation error is lowest" in done.stdout) == (rule == "held-out")
    labels = ["demo with epochs=1, rate_multipliers=[1.0]"]
    labels.append(f"{labels[0]}, validation_fraction=0.1")
    beside = run("compare", *labels, directory=tmp_path)
    assert beside.returncode == 0, beside.stderr
    assert "Complete on both sides: 2 cells." in beside.stdout
    found = json.loads(run("compare", *labels, "--json", directory=tmp_path).stdout)
    assert [line["column"] for part in found for line in part["rows"]] == ["SGD", "BN"]
    unknown = run("compare", "demo", "results", directory=tmp_path)
    assert unknown.returncode == 2
    assert '"demo" is neither a directory of results nor a protocol in results/' in unknown.stderr


def test_all_datasets_of_a_table_that_are_here(tmp_path: Path) -> None:
    nothing = run(
        *["reproduce", "--table", "5", "--dataset", "all", "--protocol", "demo", "--data-dir", "."],
        directory=tmp_path,
    )
    assert nothing.returncode == 2
    assert "none of the paper's datasets is in ." in nothing.stderr
    both = run(
        *[
            "reproduce",
            "--table",
            "5",
            "--dataset",
            "all",
            "--dataset",
            "digits",
            "--protocol",
            "demo",
            "--data-dir",
            ".",
            "--dry-run",
        ],
        directory=tmp_path,
    )
    assert both.returncode == 0, both.stderr
    assert "8 columns on digits" in both.stdout
    assert "not available: MNIST, CIFAR, CIFAR100, SVHN, STL10, Cal101" in both.stdout


def test_a_plan_is_json_where_that_is_asked_for(tmp_path: Path) -> None:
    done = run("reproduce", "--table", "all", *TINY, "--dry-run", "--json", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    planned = json.loads(done.stdout)
    assert planned["event"] == "plan"
    assert len(planned["runs"]) == 36


def test_a_protocol_whose_label_has_colons_can_be_compared(tmp_path: Path) -> None:
    sizes = "protocol.batch_size=[{from_epoch: 1, size: 100}]"
    for extra in ((), ("--set", sizes)):
        assert run("train", "--recipe", str(recipe(tmp_path)), *TINY, *extra, directory=tmp_path).returncode == 0
    labels = json.loads(run("report", "--to", "json", directory=tmp_path).stdout)
    one, other = (table["protocol_label"] for table in labels["tables"])
    assert ":" in one + other
    done = run("compare", one, f"results:{other}", "--json", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["rows"]
