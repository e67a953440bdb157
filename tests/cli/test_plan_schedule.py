"""What `asymbp plan` says of a schedule: when stacks start, what they cost, which are given up."""

from pathlib import Path

import pytest
import small_study
from plan_commands import STEPS, asymbp, numbers, write_recipe
from plan_commands import _elsewhere as _elsewhere


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
    asymbp(f"train --recipe {write_recipe()} --set method=[SGD,uSF,BM,NuSF,BN] --quiet --workers 1")
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
    asymbp(f"train --recipe {write_recipe()} --quiet --workers 1")
    plan = numbers(f"plan --recipe one.yaml {STEPS} --simulate 1x1")
    assert (plan["to_train"], plan["seconds"], plan["tasks"], plan["networks"]) == (0, 0, None, [])
    assert plan["schedule"]["makespan_seconds"] == 0
    assert "to train" in asymbp("plan --recipe one.yaml")
