"""`asymbp plan`: what a study costs before it is trained; what `--dry-run` says; nothing needs to be there."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import small_study
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


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_it_agrees_with_a_dry_run(workers: int) -> None:
    line = f"--table 2 --workers {workers}"
    plan, dry = numbers(f"plan {line}"), numbers(f"reproduce {line} --dry-run")
    assert (plan["seconds"], plan["to_train"]) == (dry["seconds"], len(dry["runs"]))
    assert without_hours(plan["tables"]) == dry["tables"]
    assert plan["worker_seconds"] == pytest.approx(workers * plan["seconds"], abs=0.1)


def test_it_agrees_with_a_dry_run_of_a_recipe_some_of_which_is_done() -> None:
    Path("one.yaml").write_text("dataset: digits\nmethod: [SGD, uSF]\nprotocol: {extends: demo, epochs: 1}\n")
    asymbp("train --recipe one.yaml --set method=SGD --set 'protocol.rate_multipliers=[1]' --quiet")
    plan, dry = numbers("plan --recipe one.yaml"), numbers("train --recipe one.yaml --dry-run")
    assert without_hours(plan["tables"]) == dry["tables"]
    assert (plan["runs"], plan["to_train"], plan["seconds"]) == (10, 9, dry["seconds"])


def test_of_everything_nothing_needs_to_be_there() -> None:
    plan = numbers(f"plan --all {STEPS}")
    assert [table["table"] for table in plan["tables"]] == [
        "table-2",
        "table-3",
        "table-4-c1",
        "table-4-c2",
        "table-5",
    ]
    assert [len(table["rows"]) for table in plan["tables"]] == [15, 15, 15, 15, 6]
    assert {row["available"] for table in plan["tables"] for row in table["rows"]} == {True}
    assert plan["to_train"] == 2520
    assert plan["worker_seconds"] > 0  # samples that are not published follow from the paper's tables
    assert not Path("results").exists()
    assert not Path("cache").exists()
    assert numbers(f"plan --all --seeds 5 {STEPS}")["to_train"] == 5 * 2520
    assert numbers(f"plan --all --dataset mnist --protocol quick {STEPS}")["to_train"] == 180


def test_images_of_ones_own_are_counted_by_their_names() -> None:
    for name in ("cat/0.png", "cat/1.png", "dog/2.png", "dog/3.png"):
        file = Path("pets", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"no image")
    line = f"plan --table 5 --protocol quick --dataset ./pets --dataset mnist {STEPS}"
    plan = numbers(line)
    assert plan["to_train"] == 80
    assert plan["worker_seconds"] > numbers(line.replace("--dataset ./pets", ""))["worker_seconds"] > 0


def test_seconds_by_hand() -> None:
    """SGD on MNIST, five runs in a stack: on the line between 1 ms for one and 10 ms for 64."""
    Path("one.yaml").write_text("dataset: mnist\nmethod: SGD\nprotocol: {extends: quick, epochs: 3}\n")
    plan = numbers(f"plan --recipe one.yaml {STEPS}")
    step = (1 + 9 * (5 - 1) / 63) / 1000
    assert plan["tasks"]["tasks"] == 1
    assert plan["worker_seconds"] == plan["tasks"]["longest_seconds"]
    assert plan["worker_seconds"] == pytest.approx(3 * 600 * (1 + 1 / 18) * step)


def test_memory_bounds_stacks_and_is_what_is_asked_for() -> None:
    line = f"plan --all --dataset caltech101 {STEPS}"
    plenty = numbers(line)["networks"][0]
    Path("steps.csv").write_text(HEAD + "cuda,a GPU,4,mnist,1,1\n")
    short = numbers(line)["networks"][0]
    assert plenty["network"] == short["network"] == "large"
    assert plenty["largest_stack"] > short["largest_stack"]
    assert short["bytes"] <= 4 << 30 < plenty["bytes"] <= 16 << 30
    assert plenty["steps"] == "by FLOP"


def test_what_does_not_fit_is_named() -> None:
    line = f"plan --all --dataset caltech101 {STEPS}"
    assert "too little" not in asymbp(line)
    Path("steps.csv").write_text(HEAD + "cuda,a GPU,0.5,mnist,1,1\n")
    assert numbers(line)["networks"][0]["bytes"] > numbers(line)["steps"]["bytes"] == 1 << 29
    assert "The device has 0.5 GiB: too little for large." in asymbp(line)


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_steps_of_any_device_may_have_a_memory(device: str) -> None:
    Path("steps.csv").write_text(HEAD + f"{device},a device,16,mnist,1,1\n")
    assert numbers(f"plan --table 2 --dataset mnist --protocol quick {STEPS}")["worker_seconds"] > 0


def test_schemes_that_were_not_measured_are_estimated() -> None:
    found = {}
    for method in ("SGD", "WM"):
        Path("one.yaml").write_text(f"dataset: mnist\nmethod: {method}\nprotocol: quick\n")
        found[method] = numbers(f"plan --recipe one.yaml {STEPS}")
    assert found["WM"]["worker_seconds"] > 1.1 * found["SGD"]["worker_seconds"]
    assert [plan["networks"][0]["steps"] for plan in found.values()] == ["given", "by FLOP"]


def test_a_schedule_has_its_price() -> None:
    line = f"plan --table 2 --dataset mnist --protocol paper {STEPS} --simulate 2x4 --start 30"
    plan = numbers(f"{line} --price 2.5")
    played = plan["schedule"]
    assert plan["workers"] == 8
    assert played["makespan_seconds"] >= plan["tasks"]["longest_seconds"] + 30
    assert played["makespan_seconds"] >= plan["worker_seconds"] / 8
    assert plan["seconds"] == round(played["makespan_seconds"], 1)  # not the mean of a worker, which is less
    assert played["worker_hours"] == pytest.approx(8 * played["makespan_seconds"] / 3600)
    assert played["cost"] == pytest.approx(2.5 * played["worker_hours"])
    assert played["utilization"] == pytest.approx(plan["worker_seconds"] / 3600 / played["worker_hours"])
    assert (played["failures"], played["lost_seconds"]) == (0, 0)
    failing = numbers(f"{line} --failures 60")["schedule"]
    assert failing["cost"] is None
    assert failing["failures"] > 0
    assert 0 < failing["lost_seconds"] <= 60 * failing["failures"]
    assert failing["makespan_seconds"] > played["makespan_seconds"]


def test_a_start_that_nobody_has_said_is_called_an_assumption() -> None:
    line = f"plan --table 2 --dataset mnist --protocol quick {STEPS} --simulate 1x1"
    assumed, said = (numbers(f"{line} {more}")["schedule"] for more in ("", "--start 4"))
    assert (assumed["start_seconds"], assumed["start_origin"]) == (10, "assumed")
    assert (said["start_seconds"], said["start_origin"]) == (4, "given")
    assert "A GPU starts in 10 s, as is assumed; --start says otherwise." in asymbp(line)
    assert "A GPU starts in 4 s, as you say." in asymbp(f"{line} --start 4")
    assert "Simulated on 1 node with 1 GPU each" in asymbp(line)


def test_on_slurm_each_stack_starts() -> None:
    line = f"plan --table 2 --dataset mnist --protocol quick {STEPS} --simulate 1x1 --start 4"
    once, also_once, each = (numbers(f"{line} {more}") for more in ("", "--executor ray", "--executor slurm"))
    assert once["schedule"] == also_once["schedule"]
    assert each["tasks"] == once["tasks"]
    stacks = each["tasks"]["tasks"]
    assert stacks > 1
    assert each["schedule"]["starting_seconds"] == 4 * stacks
    longer = each["schedule"]["makespan_seconds"] - once["schedule"]["makespan_seconds"]
    assert longer == pytest.approx(4 * (stacks - 1))
    assert "A GPU starts in 4 s, as you say; for each stack, which is a job." in asymbp(f"{line} --executor slurm")


def test_a_start_is_that_of_workers_in_the_results() -> None:
    results = Path("results")
    asymbp(f"train --recipe {_recipe()} --set method=[SGD,uSF,BM,NuSF,BN] --quiet --workers 1")
    created = (1993.5, 2000.9, 1990.0, 1900.0, 1995.0)
    devices = ("cpu (a)", "cpu", "cpu (b)", "cuda:0 (c)", "cpu (b)")
    for number, run_id in enumerate(small_study.change(results)):
        small_study.change(
            results,
            f"UPDATE attempts SET device = '{devices[number]}', started = {2000 + number} WHERE run = '{run_id}'",
            f"UPDATE runs SET created = {created[number]} WHERE id = '{run_id}'",
            take_checksums=True,
        )
    line = "plan --table 3 --dataset mnist --protocol quick --simulate 1x1"
    played = numbers(line)["schedule"]
    assert (played["start_seconds"], played["start_origin"]) == (9, "measured")  # of 6.5, 12 and 9, not of 0.1
    assert "A worker starts in 9 s, the median in these results." in asymbp(line)
    assert numbers(f"{line} {STEPS}")["schedule"]["start_seconds"] == 103  # on CUDA
    forget = "UPDATE attempts SET started = created FROM runs WHERE id = run"
    small_study.change(results, forget, take_checksums=True)
    assert numbers(line)["schedule"]["start_origin"] == "assumed"  # it is not stored when workers were there


def test_stacks_of_which_training_would_give_up_are_told() -> None:
    line = f"plan --table 2 --dataset mnist --protocol paper {STEPS} --simulate 1x1 --failures"
    attempts = numbers(f"{line} 60")["schedule"]["most_attempts"]
    assert attempts > 3
    assert f"A stack takes {attempts} attempts. Training gives up after 3: allow" in asymbp(f"{line} 60")
    assert "Training gives up" not in asymbp(f"{line} 0")


def test_nothing_is_idle_where_nothing_is_left() -> None:
    asymbp(f"train --recipe {_recipe()} --quiet --workers 1")
    plan = numbers(f"plan --recipe one.yaml {STEPS} --simulate 1x1")
    assert (plan["to_train"], plan["seconds"], plan["tasks"], plan["networks"]) == (0, 0, None, [])
    assert plan["schedule"]["makespan_seconds"] == 0
    assert "to train" in asymbp("plan --recipe one.yaml")


def _recipe() -> Path:
    file = Path("one.yaml")
    file.write_text("dataset: digits\nmethod: SGD\nprotocol: {extends: demo, epochs: 1, rate_multipliers: [1]}\n")
    return file


def test_measured_steps_are_saved_for_another_machine() -> None:
    measured = numbers("plan --table 2 --save-steps mine.csv --workers 2")
    assert measured["steps"]["origin"] == "measured"
    given = numbers("plan --table 2 --step-seconds ./mine.csv --workers 2")
    assert (given["steps"]["model"], given["steps"]["origin"]) == (measured["steps"]["model"], "./mine.csv")
    assert given["seconds"] == pytest.approx(measured["seconds"], rel=1e-3)
    assert {row["steps"] for row in given["networks"]} == {"given"}
    assert {row["steps"] for row in measured["networks"]} == {"measured"}


def test_all_of_it_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = asymbp("plan --all --seeds 5 --step-seconds h100 --simulate 100x8 --price 2.5 --failures 0.5")
    assert len(text.splitlines()) > 20
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for part in ("12,600", "by FLOP", "NVIDIA H100 80GB HBM3", "100 nodes with 8 GPUs each", "cost"):
        assert part in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "nothing to plan. Name a RECIPE, --table TABLE, or --all (the whole paper)"),
        ("--all --table 2", "--all is every table. Leave out --table or --all"),
        ("--table 7", '"7" is not a table'),
        ("--table 1", "Table 1 lists networks and trains nothing"),
        ("--table 2 --dataset mnits", 'Did you mean "mnist"?'),
        ("--table 2 --dataset mnist", "--protocol must be given for mnist"),
        ("one.yaml --dataset digits", "--dataset and --protocol are of tables. Write them into the recipe"),
        ("one.yaml --recipe one.yaml", "RECIPE is named with --recipe and without. Write all of them in one way"),
        ("--table 2,3", '"2,3" is read as one name. For several write --table 2 --table 3'),
        ("--table 2 --simulate 4", '"4" is no cluster. Write NODESxGPUS, for instance 4x8'),
        ("--table 2 --simulate 0x8", '"0x8" is no cluster'),
        ("--table 2 --simulate 4x-8", '"4x-8" is no cluster'),
        ("--table 2 --simulate 4x8x2", '"4x8x2" is no cluster'),
        ("--table 2 --simulate 1000x1000", "at most 100,000 GPUs in all"),
        ("--table 2 --simulate 1x2 --price -1", "-1.0 is not in the range x>=0"),
        ("--table 2 --simulate 1x2 --failures 61", "61.0 is not in the range 0<=x<=60.0"),
        ("--table 2 --simulate 1x2 --price nan", "nan"),
        ("--table 2 --price 2", "--executor, --start, --failures and --price are of a schedule. Add"),
        ("--table 2 --simulate 1x2 --executor slrm", 'Did you mean "slurm"?'),
        ("--table 2 --simulate 1x2 --workers 2", "--simulate says how many workers there are"),
        (f"--table 2 {STEPS} --device cpu", "./steps.csv has steps of cuda, not of cpu. Leave out --device"),
        (f"--table 2 {STEPS} --save-steps x.csv", "--step-seconds measures nothing that --save-steps could write"),
        ("--table 2 --step-seconds none.csv", "cannot read none.csv: No such file"),
        ("--table 2 --device tpu", '"tpu" is not a device'),
        ("--table 2 --workers 100000000000", "is not in the range 1<=x<=10000"),
    ],
)
def test_bad_input_is_one_message(line: str, message: str) -> None:
    _recipe()
    assert message in refuse(f"plan {line}")
    assert not Path("x.csv").exists()


def test_without_measuring_torch_is_not_imported() -> None:
    code = (
        "import sys; from asymbp_cli.cli.app import main; sys.argv = ['asymbp', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    line = ["plan", "--all", *STEPS.split(), "--simulate", "4x8"]
    done = subprocess.run([sys.executable, "-c", code, *line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
