"""How much work runs are, and how long they will take."""

import pytest
import small_study

from asymbp_cli import study
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.scheduling import estimate
from asymbp_cli.specs.runs import Run, representatives
from asymbp_cli.training import timing


def epochs_to_train(*multipliers: float) -> dict[Run, int]:
    work = study.plan_work([small_study.grid("SGD", multipliers=multipliers)], None)
    return {run: work.remaining[run_id] for run_id, run in work.runs.items()}


def test_the_estimate_counts_steps_evaluation_and_workers() -> None:
    two_runs = epochs_to_train(10.0, 1.0)
    (kind,) = representatives(two_runs)
    assert kind == (small_study.NETWORK, "none", "all", 100, "standard", "layerwise", (), "sgd")
    cost = {run.id: estimate.epoch_seconds(run, small_study.INFO, {kind: 0.3}) for run in two_runs}
    remaining = {run.id: epochs for run, epochs in two_runs.items()}
    one, two, many = (estimate.Forecast(cost, True, workers).seconds(remaining) for workers in (1, 2, 8))
    assert one == pytest.approx(2 * 4 * (1437 + 360 / 3) / 100 * 0.3)
    assert one == pytest.approx(2 * two) == pytest.approx(2 * many)  # a run is not divided


def test_few_samples_take_less_than_a_full_mini_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """On random data full steps are measured, on a dataset those that it has: both give the same estimate."""
    (run,) = epochs_to_train(1.0)
    (kind,) = representatives([run])
    few = small_study.INFO.model_copy(update={"train_count": 40, "test_count": 30})
    assert estimate.epoch_seconds(run, few, {kind: 0.3}) == pytest.approx((40 + 30 / 3) / 100 * 0.3)
    monkeypatch.setattr(timing, "load", lambda info, device: None)
    monkeypatch.setattr(timing, "seconds_per_step", lambda run, data, device: 0.12)
    assert timing.measure_steps([run], {run.dataset: few}, "cpu") == {kind: pytest.approx(0.3)}
    assert timing.measure_steps([run], {run.dataset: small_study.INFO}, "cpu") == {kind: 0.12}


def test_steps_of_fewer_layers_are_measured_apart_and_the_first_run_of_a_kind_is() -> None:
    runs = list(study.plan_work([small_study.grid("SGD", "SGD Top", "uSF")], None).runs.values())
    kinds = representatives(runs)
    assert [kind.train for kind in kinds] == ["all", "top"]
    assert list(kinds.values()) == [runs[0], next(run for run in runs if run.method.train == "top")]


def test_nothing_to_do_takes_no_time() -> None:
    assert estimate.Forecast({}, True, workers=2).seconds({}) == 0


def test_held_out_samples_are_evaluated_not_trained_on() -> None:
    grid: Grid = small_study.grid("uSF+BN", multipliers=(1.0,))
    (run, *_) = grid.runs(grid.rows[0], grid.columns[0])
    held = run.model_copy(update={"protocol": run.protocol.model_copy(update={"validation_fraction": 0.1})})
    samples = estimate.samples_per_epoch(held, small_study.INFO)
    assert samples == pytest.approx(1437 * 0.9 + (360 + 1437 * 0.1 + 1437) / 3)


@pytest.mark.parametrize(("batch_size", "averaged"), [(100, 20 * 100), (5000, 20 * 1437), (10, 20 * 10)])
def test_statistics_that_cycle_see_samples_more_than_once(batch_size: int, averaged: int) -> None:
    grid: Grid = small_study.grid("uSF+BN", multipliers=(1.0,))
    (run, *_) = grid.runs(grid.rows[0], grid.columns[0])
    changes = {"batch_norm_short_epochs": "cycle", "batch_size": batch_size}
    cycling = run.model_copy(update={"protocol": run.protocol.model_copy(update=changes)})
    assert estimate.samples_per_epoch(cycling, small_study.INFO) == pytest.approx(1437 + (360 + averaged) / 3)
