"""`asymbp export RUN --weights`: from a recipe to a plain module, and the messages on the way."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.errors import AsymbpError, PluginError, StoreError, UsageError
from asymbp_cli.results.store import Store
from asymbp_cli.training.weight_files import read_weights, weights_directory, weights_path

RECIPE = {
    "dataset": "digits",
    "network": {"input": "8x8x1", "layers": ["FC 9", "FC classes"]},
    "method": ["SGD", "BN"],
    "protocol": {"extends": "demo", "epochs": 2, "rate_multipliers": [1.0]},
}


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False, standalone_mode=False)


def change_rows(store: Store, *statements: str) -> None:
    store.write_together(lambda connection: [connection.execute(statement) for statement in statements])


def train(directory: Path, *options: str, **changes: object) -> Result:
    """Train the recipe into a directory; the file of the recipe is there too."""
    directory.mkdir(exist_ok=True)
    (directory / "mine.yaml").write_text(json.dumps(RECIPE | changes))
    results = "--results", directory / "results"
    return invoke("train", "--recipe", directory / "mine.yaml", "--quiet", "--workers", "1", *options, *results)


def run_ids(directory: Path) -> dict[str, str]:
    """Return the id of each run by its method."""
    with Store.open(directory / "results", create=False) as store:
        return {run.method: run.id for run in store.runs()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("weights")
    assert train(directory, keep_weights="best").return_value == 0
    return directory


@pytest.mark.parametrize("method", ["SGD", "BN"])
def test_the_printed_python_gets_the_stored_error(
    method: str, trained: Path, digits: ResidentData, tmp_path: Path
) -> None:
    run_id, file, names = run_ids(trained)[method], tmp_path / "it's.safetensors", dict[str, Any]()
    done = invoke("export", run_id[:8], "--weights", file, "--results", trained / "results")
    shown = json.loads(invoke("show", run_id, "--json", "--results", trained / "results").stdout)
    best = shown["summary"]["best"]
    counts = f"epoch {best['epoch']}, test error {best['error_percent']:.2f} % ({best['wrong']} of 360)"
    assert done.stderr == f"wrote {file}: {counts}\n"
    exec(done.stdout, names)
    raw = digits.test.x.permute(0, 3, 1, 2).float()
    with torch.no_grad():
        wrong = (names["net"]((raw - names["mean"]) * names["scale"]).argmax(1) != digits.test.y).sum()
    assert int(wrong) == best["wrong"]


def test_an_option_goes_before_the_recipe(trained: Path, tmp_path: Path) -> None:
    train(tmp_path, "--keep-weights", "last", keep_weights="best", method="SGD")
    weights = read_weights(weights_directory(tmp_path / "results"), run_ids(tmp_path)["SGD"])
    assert weights
    assert (weights.which, weights.epoch) == ("last", 2)
    assert run_ids(tmp_path)["SGD"] == run_ids(trained)["SGD"]  # no part of the identity


def test_runs_that_ended_before_have_none(tmp_path: Path) -> None:
    train(tmp_path, method="SGD")
    assert not weights_directory(tmp_path / "results").exists()
    told = "1 run had ended before, without --keep-weights or in other results, and has no weights in "
    for options in ((), ("--dry-run",)):
        assert train(tmp_path, "--keep-weights", "best", *options, method="SGD").stderr.startswith(told)
        assert train(tmp_path, *options, method="SGD").stderr == ""
    with pytest.raises(UsageError, match=r"was trained without --keep-weights.*--keep-weights best --results DIR"):
        invoke("export", run_ids(tmp_path)["SGD"], "--weights", "w.safetensors", "--results", tmp_path / "results")


def test_runs_that_ended_with_weights_of_another_epoch_are_counted(tmp_path: Path) -> None:
    """The error of SGD is lowest after its last epoch, or by a change of the results after its first one."""
    told = "1 run had ended before, with the weights of another epoch than the best one. No run is trained twice"
    train(tmp_path, "--keep-weights", "last", method="SGD")
    assert "another epoch" not in train(tmp_path, "--keep-weights", "best", method="SGD").stderr
    with Store.open(tmp_path / "results") as store, store.writing():
        change_rows(store, "UPDATE epochs SET test_wrong = 0 WHERE epoch = 1")
    for options in ((), ("--dry-run",)):
        assert told in train(tmp_path, "--keep-weights", "best", *options, method="SGD").stderr
        assert "another epoch" not in train(tmp_path, "--keep-weights", "last", *options, method="SGD").stderr


def test_merging_leaves_weights_and_export_says_where_they_are(trained: Path, tmp_path: Path) -> None:
    run, results = run_ids(trained)["SGD"], tmp_path / "results"
    there, here = (weights_directory(place) for place in (trained / "results", results))
    told = f"the weights of 2 runs stay in {there}/. To export them here, copy them into {here}/\n"
    assert invoke("store", "merge", trained / "results", "--results", results).stderr == told
    again = "export", run, "--weights", tmp_path / "w.safetensors", "--results", results
    with pytest.raises(UsageError, match=rf"which merging leaves .*: copy weights/{run}.safetensors from there"):
        invoke(*again)
    shutil.copytree(there, here)
    assert invoke("store", "merge", trained / "results", "--results", results).stderr == ""
    assert invoke(*again).return_value is None


def test_a_diverged_run_may_have_had_weights(tmp_path: Path) -> None:
    train(tmp_path, method="SGD")
    for diverged, message in (("epoch - 1", "1 run had ended before"), ("1", "")):
        with Store.open(tmp_path / "results") as store, store.writing():
            change = f"UPDATE epochs SET diverged = {diverged}"
            change_rows(store, change, "UPDATE runs SET state = 'diverged'")
        done = train(tmp_path, "--keep-weights", "best", method="SGD")
        assert ("had ended before" in done.stderr) == bool(message)
        assert message in done.stderr
        assert "had ended before" not in train(tmp_path, "--keep-weights", "last", method="SGD").stderr


def test_a_place_that_is_taken_is_noticed_before_training(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    weights_directory(tmp_path / "results").touch()
    with pytest.raises(StoreError, match=r"cannot make the directory .* for weights: File exists"):
        train(tmp_path, "--keep-weights", "best", method="SGD")
    assert run_ids(tmp_path) == {}


def test_weights_of_another_training_are_noticed(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "results", tmp_path / "results")
    directory, runs = weights_directory(tmp_path / "results"), run_ids(tmp_path)
    with Store.open(tmp_path / "results") as store, store.writing():
        change_rows(store, "UPDATE epochs SET test_wrong = test_wrong + 1")
    with pytest.raises(StoreError, match="which the results do not have"):
        invoke("export", runs["SGD"], "--weights", tmp_path / "w.safetensors", "--results", tmp_path / "results")
    with pytest.raises(UsageError, match="belongs to stored results"):
        invoke(
            "export",
            runs["BN"],
            "--weights",
            weights_path(directory, runs["SGD"]),
            "--results",
            trained / "results",
        )


def test_an_epoch_from_before_weights_were_kept_is_named(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "results", tmp_path / "results")
    run_id = run_ids(tmp_path)["SGD"]
    weights = read_weights(weights_directory(tmp_path / "results"), run_id)
    assert weights
    with Store.open(tmp_path / "results") as store, store.writing():
        change_rows(store, f"UPDATE epochs SET test_wrong = 0 WHERE epoch <> {weights.epoch}")
    done = invoke("export", run_id, "--weights", tmp_path / "w.safetensors", "--results", tmp_path / "results")
    assert f"tables show epoch {3 - weights.epoch}, which was trained before weights were kept" in done.stderr


def test_an_epoch_in_which_the_run_had_diverged_is_named(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "results", tmp_path / "results")
    run_id = run_ids(tmp_path)["SGD"]
    weights = read_weights(weights_directory(tmp_path / "results"), run_id)
    assert weights
    with Store.open(tmp_path / "results") as store, store.writing():
        change_rows(store, f"UPDATE epochs SET test_wrong = 0, diverged = 1 WHERE epoch <> {weights.epoch}")
    done = invoke("export", run_id, "--weights", tmp_path / "w.safetensors", "--results", tmp_path / "results")
    assert f"tables show epoch {3 - weights.epoch}, in which the run had diverged" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE epochs SET diverged = 1", "diverged in its first epoch, so no weights"),
        ("UPDATE epochs SET diverged = epoch - 1", "diverged later .* without --keep-weights best, so"),
    ],
)
def test_why_a_diverged_run_has_no_weights(change: str, message: str, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "results", tmp_path / "results")
    shutil.rmtree(weights_directory(tmp_path / "results"))
    with Store.open(tmp_path / "results") as store, store.writing():
        change_rows(store, change, "UPDATE runs SET state = 'diverged'")
    again = "export", run_ids(tmp_path)["SGD"], "--weights", "w.safetensors", "--results", tmp_path / "results"
    with pytest.raises(UsageError, match=message):
        invoke(*again)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either --curves FILE.csv, or RUN --weights"),
        (("3f2a", "--curves", "a.csv"), "RUN belongs to --weights"),
        (("--weights", "w.safetensors"), "--weights needs RUN"),
        (("3f2a", "--weights", "w.safetensors", "--table", "2"), "nothing that selects tables"),
        (("3f2a", "--weights", "w.pt"), r"w\.pt must end in \.safetensors"),
        (("zzzz", "--weights", "w.safetensors"), 'no run id starts with "zzzz"'),
    ],
)
def test_mistakes_are_messages(arguments: tuple[str, ...], message: str, trained: Path) -> None:
    with pytest.raises(AsymbpError, match=message):
        invoke("export", *arguments, "--results", trained / "results")


def test_every_list_loads_plugins(tmp_path: Path) -> None:
    for what in ("methods", "schemes"):
        with pytest.raises(PluginError, match=r"missing\.py: No such file"):
            invoke("ls", what, "--plugin", tmp_path / "missing.py")


def test_a_recipe_says_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(AsymbpError, match=r'mine\.yaml:1: keep_weights: must be best or last, not "all"'):
        train(tmp_path, keep_weights="all")
    shown = invoke("validate", "--resolved", tmp_path / "mine.yaml", "--set", "keep_weights=last").stdout
    assert "keep_weights: last" in shown
