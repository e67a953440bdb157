"""`asymbp plan`: what a study costs before it is trained; what `--dry-run` says; nothing needs to be there."""

import subprocess
import sys
from pathlib import Path

import pytest
from plan_commands import HEAD, STEPS, asymbp, numbers, refuse, without_hours, write_recipe
from plan_commands import _elsewhere as _elsewhere


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
        ("one.yaml --dataset digits", "--dataset, --network and --protocol are of tables. Write them into"),
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
    write_recipe()
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
