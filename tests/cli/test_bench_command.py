"""`asymbp bench`: every experiment as a user calls it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from asymbp_cli.bench import checks, executors, memory, projection, training
from asymbp_cli.bench.measure import Measure
from asymbp_cli.cli import app
from asymbp_cli.cli.bench_tables import format_training
from asymbp_cli.errors import AsymbpError
from asymbp_cli.events import Event
from asymbp_cli.executors import Job


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app.cli, arguments)


@pytest.mark.parametrize("arguments", [("paper", "--replicas", "3"), ("--replicas", "3", "paper")])
def test_the_name_of_an_experiment_may_follow_options(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def project(device: str, *, workers: int, replicas: int) -> list[projection.Projection]:
        return [projection.Projection("Table 2", replicas, 1.0, 2.0)]

    monkeypatch.setattr(projection, "project", project)
    done = invoke("bench", *arguments, "--json")
    assert json.loads(done.output) == [{"table": "Table 2", "runs": 3, "hours": 1.0, "petaflop": 2.0}]


@pytest.mark.parametrize(
    ("arguments", "usage"),
    [
        (("--help",), "bench [OPTIONS] COMMAND"),
        (("--rounds", "3", "--help"), "bench training [OPTIONS]"),
        (("--cache-dir", "memory", "--help"), "bench training [OPTIONS]"),
        (("--replicas", "8", "memory", "--help"), "bench memory [OPTIONS]"),
    ],
)
def test_training_is_measured_unless_another_experiment_is_named(arguments: tuple[str, ...], usage: str) -> None:
    assert usage in invoke("bench", *arguments).output


def test_an_unknown_experiment_is_refused() -> None:
    done = invoke("bench", "trainig")
    assert done.exit_code == 2
    assert "trainig" in done.output


@pytest.mark.parametrize("name", ["training", "executors", "memory", "paper", "report", "checks", "measures"])
def test_every_experiment_explains_itself(name: str) -> None:
    text = invoke("bench", name, "--help").output
    assert f"asymbp bench {name}" in text.split("Example:")[1]


def test_bench_measures_ratios() -> None:
    done = invoke("bench", "--rounds", "1", "--steps", "1", "--replicas", "1", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    names = [line["name"] for line in found["overhead"]]
    assert names[0] == "SGD"
    assert "brSF-50%" in names
    assert set(found) == {
        "overhead",
        "schemes",
        "scaling",
        "growth",
        "precision",
        "ceiling",
        "loops",
        "slower",
        "busy_cores_before",
    }
    assert [line["name"] for line in found["loops"]] == [
        "DataLoader loop",
        "DataLoader loop, 1 worker",
        "resident loop",
        "a resident loop per core",
        "engine",
        "engine, bf16",
    ]
    assert [line["name"] for line in found["growth"]] == [f"batch {size}" for size in (25, 50, 100, 200, 500)]
    assert all(line["seconds"] > 0 for line in found["overhead"] + found["growth"] + found["loops"])


def test_bench_executors_measures_each_and_a_second_worker() -> None:
    options = ("--stacks", "2", "--seconds", "0.01", "--rounds", "1")
    found = json.loads(invoke("bench", "executors", *options, "--json").output)
    assert [measure["name"] for measure in found["overhead"]][:2] == ["inline", "processes"]
    assert [measure["name"] for measure in found["scaling"]] == ["1 worker", "2 workers"]
    assert found["overhead"][0]["ratio"] == found["scaling"][0]["ratio"] == 1
    assert all(measure["seconds"] >= 0.01 for measure in found["overhead"])


def test_bench_executors_measures_nothing_if_a_stack_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(job: Job, spend_time: object) -> Iterator[Event]:
        raise RuntimeError("out of order")

    monkeypatch.setattr(executors, "_pretend", fail)
    with pytest.raises(AsymbpError, match=r"a stack failed, so nothing can be compared: .*out of order"):
        CliRunner().invoke(
            app.cli,
            ["bench", "executors", "--stacks", "1", "--rounds", "1"],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_bench_executors_shows_what_could_not_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    found = executors.ExecutorsMeasure(
        (Measure("inline", 1.0, 1.0, 1.0, 1.0), Measure("processes", 1.01, 1.01, 1.0, 1.02)),
        (Measure("1 worker", 1.0, 1.0, 1.0, 1.0), Measure("2 workers", 0.5, 0.5, 0.4, 0.6)),
        {"cluster": "it is not installed"},
    )
    monkeypatch.setattr(executors, "measure_executors", lambda directory, **options: found)
    shown = invoke("bench", "executors").output
    assert re.search(r"s per stack +over inline +range\n", shown)
    assert re.search(r"\ninline .*\nprocesses +1.010 +1.010 +1.000 to 1.020\n", shown)
    assert "cluster was not measured: it is not installed" in shown
    assert shown.endswith("two workers are 2.00 times as fast as one\n")


def test_bench_says_at_once_what_it_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name in vars(training) if name.startswith("measure_") and name != "measure_training"]
    for name in names:
        monkeypatch.setattr(training, name, lambda *_, **__: [Measure("SGD", 1.0, 1.0, 1.0, 1.0)])
    done = invoke("bench")
    assert done.exit_code == 0, done.output
    said = [line for line in done.stderr.splitlines() if line.startswith("measuring ")]
    assert [line.split(":")[0] for line in said] == [f"measuring {number} of 7" for number in range(1, 8)]
    assert said[0] == "measuring 1 of 7: the step of every feedback scheme, over SGD's"
    assert invoke("bench", "--json").stderr == ""


def test_bench_shows_its_groups_as_tables() -> None:
    second = Measure("second", 1e-3, 0.5, 0.4, 0.8)
    measures = (Measure("first", 2e-3, 1, 1, 1), second)
    groups = dict.fromkeys(("overhead", "scaling", "growth", "precision", "ceiling"), measures)
    groups["schemes"] = [replace(measures[0], name="SGD"), replace(measures[1], name="WM")]
    loops = (Measure("resident loop", 2e-3, 1, 1, 1), second)
    shown = format_training(groups | {"loops": loops}, "cuda", 64, workers=2)
    assert "mini-batch:\n" in shown
    assert re.search(r"us per sample +samples/s +over batch 100 .*\n.*\nfirst +2000.0 +500 +1.00 ", shown)
    assert "over the resident loop, MNIST network, cuda, stacks of 64:" in shown
    assert "by the precision of its products:\n" in shown
    assert re.search(r"second +1.00 +100,000 +2.00 +1.25 to 2.50$", shown)


def test_bench_memory_shows_what_was_predicted_and_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(candidates: list[memory.Candidate]) -> Iterator[memory.Memory]:
        assert {candidate.device for candidate in candidates} == {"cpu"}
        for candidate in candidates:
            yield memory.Memory(*candidate[:3], "training", predicted=3 << 20, measured=4 << 20, kept=6 << 20)

    monkeypatch.setattr(memory, "measure_memory", measure)
    done = invoke("bench", "memory", "--replicas", "8", "--json")
    assert done.exit_code == 0, done.output
    first, second, *_ = found = json.loads(done.output)
    assert len(found) == 20
    assert first == {
        "network": "mnist",
        "method": "uSF",
        "replicas": 1,
        "part": "training",
        "predicted": 3 << 20,
        "measured": 4 << 20,
        "kept": 6 << 20,
        "ratio": 0.75,
    }
    assert second["replicas"] == 8
    shown = invoke("bench", "memory", "--replicas", "1").output
    line = next(line for line in shown.splitlines() if line.startswith("large, uSF+BN"))
    assert line.split()[-5:] == ["1", "3.0", "4.0", "0.75", "6.0"]


def test_an_experiment_that_does_not_exist_is_named_with_all_others() -> None:
    for name, hint in (("foo", ""), ("memry", ' Did you mean "memory"?')):
        result = CliRunner().invoke(app.cli, ["bench", name])
        assert result.exit_code == 2
        assert f'no such experiment "{name}".{hint} The experiments are training, executors' in result.output


def test_bench_checks_sets_them_against_an_epoch() -> None:
    found = json.loads(invoke("bench", "checks", "--json").output)
    assert [check["per"] for check in found["checks"]] == ["start", "epoch", "start", "epoch", "epoch", "start"]
    assert all(check["seconds"] >= 0 for check in found["checks"])
    total = sum(check["seconds"] for check in found["checks"])
    assert found["share"] == pytest.approx(total / found["epoch_seconds"])


def test_bench_checks_shows_a_line_per_check(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = checks.ChecksMeasure(2.0, (checks.Check("one", "start", 0.01), checks.Check("two", "epoch", 0.002)))
    monkeypatch.setattr(checks, "measure_checks", lambda info, directory: measured)
    shown = invoke("bench", "checks").output
    assert "An epoch of a run of Table 2 on digits takes 2.00 s on one core:" in shown
    assert re.search(r"one +per start +10.00 +0.500\ntwo +per epoch +2.00 +0.100\n", shown)
    assert shown.endswith("all checks together: 0.60 %\n")


def test_bench_measures_are_set_against_an_epoch() -> None:
    found = json.loads(invoke("bench", "measures", "--json").output)
    assert list(found["seconds"]) == ["V and W", "gradient-angle", "rank", "growth"]
    assert all(seconds >= 0 for seconds in found["seconds"].values())
    assert found["epoch_seconds"] > 0
    shown = invoke("bench", "measures").output
    assert re.search(r"measured +ms +% of the epoch\n-.*\nV and W +[0-9.]+ +[0-9.]+\n", shown)
