"""The loop from grids to stored results: nothing twice, nothing lost, whatever ends it."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
import small_study

from asymbp_cli import study
from asymbp_cli.api.asked import check_any_installed, prepare_recipe
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import (
    DeviceError,
    MissingDataError,
    UsageError,
)
from asymbp_cli.events import CheckpointSaved, EpochEnded, RunFinished
from asymbp_cli.executors import StudyEvent
from asymbp_cli.executors.registry import choose_executor, load_executor
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.results.store import Store
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, StepKind, step_kind

TESTS = Path(__file__).parent
GRID = small_study.grid()  # 2 methods x 2 multipliers, and the baseline is one of the methods
RUNS = GRID.all_runs()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_run_is_trained_stored_and_reported(tmp_path: Path, workers: int) -> None:
    reports: list[StudyEvent] = []
    outcome = small_study.train(tmp_path, GRID, workers=workers, on_event=reports.append, checkpoint_seconds=0.0)
    assert set(outcome.finished) == set(RUNS)
    assert (outcome.failed, outcome.skipped) == ({}, ())
    assert {report.run for report in reports if isinstance(report, RunFinished)} == set(RUNS)
    assert any(isinstance(report, CheckpointSaved) for report in reports)
    with Store.open(tmp_path, create=False) as store:
        assert store.states() == dict.fromkeys(RUNS, "finished")
        assert [len(epochs) for epochs in store.epochs(RUNS).values()] == [4] * len(RUNS)
        assert store.grids() == [GRID]
        assert store.datasets() == small_study.INFOS
        assert {attempt.outcome for run in RUNS for attempt in store.run(run).attempts} == {"finished"}
    assert small_study.checkpoints(tmp_path) == []


def test_workers_and_stacks_change_no_number(tmp_path: Path) -> None:
    small_study.train(tmp_path / "one", GRID)
    small_study.train(tmp_path / "two", GRID, workers=2, max_replicas=lambda run: 1)
    assert small_study.numbers(tmp_path / "one") == small_study.numbers(tmp_path / "two")


def test_asking_twice_does_nothing_twice(tmp_path: Path) -> None:
    small_study.train(tmp_path, GRID, command="asymbp reproduce --table 2")
    reports: list[StudyEvent] = []
    outcome = small_study.train(tmp_path, GRID, command="asymbp reproduce --table 2", on_event=reports.append)
    assert (outcome.finished, reports) == ((), [])
    assert set(outcome.skipped) == set(RUNS)
    with Store.open(tmp_path, create=False) as store:
        assert store.grids() == [GRID]
        assert store.commands(GRID) == ("asymbp reproduce --table 2",)


def test_runs_that_cells_share_are_trained_once(tmp_path: Path) -> None:
    other = small_study.grid("SGD", "BM", key="table-5")
    outcome = small_study.train(tmp_path, GRID, other)
    assert sorted(outcome.finished) == sorted({*RUNS, *other.all_runs()})
    assert len(outcome.finished) == 6
    with Store.open(tmp_path, create=False) as store:
        assert [grid.key for grid in store.grids()] == ["table-2", "table-5"]


def test_events_of_epochs_count_every_epoch_once(tmp_path: Path) -> None:
    reports: list[StudyEvent] = []
    small_study.train(tmp_path, GRID, on_event=reports.append)
    seen = [(report.run, report.epoch) for report in reports if isinstance(report, EpochEnded)]
    assert sorted(seen) == sorted((run, epoch) for run in RUNS for epoch in range(1, 5))


def test_diverged_runs_are_results(tmp_path: Path) -> None:
    grid = small_study.grid("SGD", multipliers=(1000.0, 1.0))
    outcome = small_study.train(tmp_path, grid)
    assert len(outcome.finished) == 2
    assert outcome.failed == {}
    with Store.open(tmp_path, create=False) as store:
        (diverged,) = [summary for summary in store.runs() if summary.progress == "diverged"]
        assert diverged.rate_multiplier == 1000
        assert [event.diverged for event in store.run(diverged.id).epochs] == [False, True, True, True]


def test_what_is_outstanding_before_any_store_exists() -> None:
    work = study.plan_work([GRID, GRID], None)
    assert set(work.runs) == set(RUNS)
    assert work.remaining == dict.fromkeys(RUNS, 4)


def test_the_executor_fits_the_device_unless_it_is_named(tmp_path: Path) -> None:
    assert choose_executor(["cpu"], 9) == choose_executor(["cpu", "cpu"], 1) == load_executor("inline")
    assert choose_executor(["cpu", "cpu"], 2) == choose_executor(["cuda:0"], 1) == load_executor("processes")
    pids = {}
    for name in ("inline", "processes"):
        small_study.train(tmp_path / name, GRID, executor=load_executor(name))
        pids[name] = [int(path.name.removeprefix("pid-")) for path in (tmp_path / name).rglob("pid-*")]
    assert pids["inline"] == [os.getpid()]
    assert os.getpid() not in pids["processes"]
    with pytest.raises(UsageError, match=r'"process" is not an executor; .*\. Did you mean "processes"\?'):
        load_executor("process")


def test_a_device_that_cannot_be_used_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r'"cuda:99"'):
        small_study.train(tmp_path, GRID, devices=("cuda:99",))
    assert list(tmp_path.iterdir()) == []


def test_the_forecast_weighs_runs_by_the_epochs_they_still_have(digits_info: DecodedDataset) -> None:
    row = small_study.row(digits_info.fingerprint)
    work = study.plan_work([small_study.grid("SGD", rows=(row,))], None)
    infos = {digits_info.fingerprint: digits_info}
    forecast = study.forecast(work, infos, study.Execution(("cpu", "cpu")))
    assert set(forecast.epoch_cost) == set(work.runs)
    assert forecast.seconds(work.remaining) == pytest.approx(4 * sum(forecast.epoch_cost.values()) / 2)
    on_gpu = study.forecast(work, infos, study.Execution(("cuda:0",)))
    assert on_gpu.seconds(work.remaining) is None
    assert all(cost > 1e6 for cost in on_gpu.epoch_cost.values())  # operations


def test_steps_are_timed_as_the_caller_says_if_there_are_any() -> None:
    whole, nothing = study.plan_work([small_study.grid("SGD")], None), study.Work({}, {}, ())

    def measure(runs: Iterable[Run], device: str) -> dict[StepKind, float]:
        assert device == "cpu"
        return dict.fromkeys(map(step_kind, runs), 0.3)

    forecast = study.forecast(whole, small_study.INFOS, study.Execution(), measure=measure)
    assert set(forecast.epoch_cost) == set(whole.runs)
    expected = 2 * 4 * (1437 + 360 / 3) / 100 * 0.3  # two runs, four epochs, batches of 100
    assert forecast.seconds(whole.remaining) == pytest.approx(expected)

    def refuse(runs: Iterable[Run], device: str) -> dict[StepKind, float]:
        pytest.fail("timed")

    on_gpu = study.forecast(whole, small_study.INFOS, study.Execution(("cuda:0",)), measure=refuse)
    assert on_gpu.seconds(whole.remaining) is None
    assert study.forecast(nothing, small_study.INFOS, study.Execution(), measure=refuse).seconds({}) == 0


def test_datasets_are_prepared_for_a_study(tmp_path: Path) -> None:
    source = DataSource(data_dir=tmp_path / "none")
    installed, missing = study.prepare_installed(["digits", "mnist", "no-such"], None, Protocol(epochs=1), source)
    assert [info.key for info in installed] == ["digits"]
    assert missing == {"mnist": "", "no-such": ""}
    check_any_installed(installed, source)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "pubfig83.v1.tgz").write_bytes(b"no archive")
    installed, missing = study.prepare_installed(["pubfig83", "digits"], None, Protocol(epochs=1), source)
    assert [info.key for info in installed] == ["digits"]
    assert "pubfig83.v1.tgz" in missing["pubfig83"]
    with pytest.raises(MissingDataError, match=r"none of the paper's datasets is in .*none\. Name another"):
        check_any_installed([], source)
    with pytest.raises(MissingDataError, match=r"MNIST .* is not in"):
        study.prepare_datasets(["mnist"], None, Protocol(epochs=1), source)


def test_each_row_has_the_data_at_the_size_of_its_network() -> None:
    one = "input: 8x8x1, layers: [FC classes]"
    networks = f"[{{{one}}}, {{input: 6x6x1, layers: [FC classes]}}, {{input: 8x8x1, layers: [FC 4, FC classes]}}]"
    recipe = load_recipe(f"{{dataset: digits, method: SGD, protocol: demo, network: {networks}}}")
    asked = prepare_recipe(recipe, DataSource())
    sizes = {info.fingerprint: info.shape for info in asked.infos}
    found = [(sizes[row.dataset or ""], row.network and row.network.input) for row in asked.grids[0].rows]
    assert found == [(size, size) for size in ((8, 8, 1), (6, 6, 1), (8, 8, 1))]
