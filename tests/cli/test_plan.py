"""`--dry-run`: runs, networks and time of every table, and nothing decoded, downloaded or written."""

import gzip
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from asymbp_cli.bench import rehearsal
from asymbp_cli.cli.app import cli
from asymbp_cli.datasets import fetch, prepare
from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.errors import DataError
from asymbp_cli.recipe.build import make_table_grid
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.table import load_table
from asymbp_cli.specs.runs import Run, StepKind, representatives, step_kind

#: of a step per sample of the digits network, a multiply-add as two: three passes, two in the first layer
_FLOP_OF_DIGITS = 2 * (2 * 8 * 8 * 9 * 16 + 3 * (4 * 4 * 9 * 16 * 32 + 2 * 2 * 32 * 64 + 64 * 10))
TINY = "--set protocol.epochs=1 --set protocol.rate_multipliers=[1] --workers 1"


def asymbp(line: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False, standalone_mode=False)
    assert done.return_value in (0, None)
    return done.stdout


def plan(line: str) -> str:
    return asymbp(f"{line} --dry-run")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASYMBP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ASYMBP_DATA", str(tmp_path / "data"))


@pytest.fixture
def nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory with MNIST, iCub, and images of one's own, none of which can be opened."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a dry run decodes and downloads nothing")

    monkeypatch.setattr(prepare, "open_dataset", refuse)
    monkeypatch.setattr(fetch, "fetch", refuse)
    for archive in CATALOG["mnist"].archives:
        write(tmp_path / "data" / archive.name)
    for name in ("train/cup/cup1/0.ppm", "test/cup/cup2/0.ppm"):
        write(tmp_path / "data/iCubWorld" / name)
    for name in ("cat/0.png", "cat/1.png", "dog/2.png", "dog/3.png"):
        write(tmp_path / "pets" / name)
    return tmp_path


@pytest.fixture
def _a_step_takes_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_steps(runs: Iterable[Run], device: str) -> Mapping[StepKind, float]:
        return {step_kind(run): 0.001 for run in runs}

    monkeypatch.setattr(rehearsal, "time_steps", time_steps)


def write(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    is_idx = file.name.endswith(".gz")  # of MNIST: as many bytes as it announces, of no image
    file.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 0])) if is_idx else b"no image")


def folders(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def test_a_set_of_the_catalogue_that_is_not_decoded_has_runs_network_and_time(nothing_is_read: Path) -> None:
    before = folders(nothing_is_read)
    table, undecoded, total = plan("reproduce --table 2 --dataset mnist --protocol quick --workers 2").splitlines()
    assert re.fullmatch(
        r"Table 2 \(Exp\. A\) \(--table 2\): 11 columns on MNIST \(network mnist\), protocol quick, seed 0: "
        r"60 runs, about \d+ (s|min|h \d+ min)",
        table,
    )
    assert undecoded == "MNIST is not decoded: all 60 runs counted as missing"
    assert re.fullmatch(r"to train: 60 of 60 runs on cpu with 2 workers, about \d+ (s|min|h \d+ min)", total)
    assert folders(nothing_is_read) == before


@pytest.mark.usefixtures("_a_step_takes_a_millisecond")
def test_images_of_ones_own_are_counted_by_their_names(nothing_is_read: Path) -> None:
    before = folders(nothing_is_read)
    for name in range(200):
        write(nothing_is_read / "pets/cat" / f"{name}.png")
    line = "reproduce --table 5 --protocol quick --dataset ./pets --workers 1"
    table, undecoded, total = plan(line).splitlines()
    assert table.endswith("8 columns on pets (network large), protocol quick, seed 0: 40 runs, about 1 s")
    assert undecoded == "pets is not decoded: all 40 runs counted as missing"
    assert total == "to train: 40 of 40 runs on cpu with 1 worker, about 1 s"
    few = json.loads(plan(f"{line} --json"))["seconds"]
    for name in range(200):
        write(nothing_is_read / "pets/dog" / f"{name}.png")
    assert json.loads(plan(f"{line} --json"))["seconds"] > few > 0
    assert folders(nothing_is_read) == before


def test_what_a_training_would_refuse_is_refused_in_its_words() -> None:
    write(Path("texts/cat/readme.txt"))
    write(Path("one/cat/0.png"))
    write(Path("broken.zip"))
    for name, said in (
        ("texts", r"texts holds no images \(passed over: 1 \.txt\)\. Expected: train/CLASS"),
        ("one", 'class "cat" has 1 image, too few for'),
        ("broken.zip", r"broken\.zip cannot be read: .* It must be a folder, \.tar"),
    ):
        refusals = []
        for line in ("reproduce {} --dry-run", "plan {}", "reproduce {}"):
            words = shlex.split(line.format(f"--table 5 --protocol quick --dataset ./{name}"))
            with pytest.raises(DataError, match=said) as refused:
                CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)
            refusals.append(str(refused.value))
        assert len(set(refusals)) == 1
    assert not Path("results").exists()


def test_counts_that_are_not_published_follow_from_the_tables_of_the_paper(nothing_is_read: Path) -> None:
    assert CATALOG["icub"].train_count is None
    planned = json.loads(plan("reproduce --table 5 --protocol quick --dataset icub --json"))
    assert planned["seconds"] > 60


def test_a_recipe_of_ones_own_images_says_its_network(nothing_is_read: Path) -> None:
    Path("mine.yaml").write_text(
        "dataset: pets/\nnetwork: {input: 8x8x1, layers: [FC 2*classes, FC classes]}\n"
        "method: [SGD, BN]\nprotocol: quick\nseed: [0, 1]\n"
    )
    table, undecoded, _ = plan("train --recipe mine.yaml").splitlines()
    assert "2 columns on pets (8x8x1, FC 4, FC 2), protocol quick, 2 seeds: 20 runs" in table
    assert undecoded == "pets is not decoded: all 20 runs counted as missing"


@pytest.mark.usefixtures("_a_step_takes_a_millisecond")
def test_what_trains_all_layers_but_the_last_is_checked_before_the_images_are_decoded(
    nothing_is_read: Path,
) -> None:
    table, undecoded, _ = plan("reproduce --table 4-c2 --protocol quick --dataset ./pets").splitlines()
    assert "8 columns on pets (network large), protocol quick, seed 0: 45 runs" in table
    assert undecoded == "pets is not decoded: all 45 runs counted as missing"
    Path("one.yaml").write_text(
        "dataset: pets/\nnetwork: {input: 8x8x1, layers: [Max 2x2/2, FC classes]}\nmethod: SGD Bottom\n"
        "protocol: quick\n"
    )
    done = CliRunner().invoke(cli, ["train", "--recipe", "one.yaml", "--dry-run"])
    assert '"SGD Bottom" trains all layers but the last, and the network of pets has only one' in str(
        done.exception
    )


@pytest.mark.usefixtures("_a_step_takes_a_millisecond")
def test_a_plan_is_wrapped_between_words(nothing_is_read: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "reproduce --table 4-c2 --protocol quick --dataset ./pets"
    whole = plan(line)
    assert max(map(len, whole.splitlines())) > 60
    monkeypatch.setenv("COLUMNS", "60")
    wrapped = plan(line)
    assert max(map(len, wrapped.splitlines())) <= 60
    assert wrapped.split() == whole.split()


def test_what_would_be_downloaded_is_not(nothing_is_read: Path) -> None:
    line = "reproduce --table 2 --dataset svhn --protocol quick"
    done = CliRunner().invoke(cli, [*line.split(), "--dry-run"])
    assert "Street View House Numbers, cropped digits (Netzer et al.) is not in" in str(done.exception)
    table, undecoded, _ = plan(f"{line} --download").splitlines()
    assert "SVHN (network svhn)" in table
    assert undecoded == "SVHN is not decoded: all 60 runs counted as missing"
    assert not list((nothing_is_read / "data").glob("*.mat"))


def test_what_is_decoded_is_compared_run_by_run() -> None:
    line = f"reproduce --table 2 {TINY}"
    first = plan(line).splitlines()
    assert "digits is not decoded: all 12 runs counted as missing" in first
    assert "to train: 12 of 12 runs" in first[-1]
    assert not Path("results").exists()
    assert not Path("cache").exists()
    Path("one.yaml").write_text("dataset: digits\nmethod: [SGD, uSF]\nprotocol: demo\n")
    asymbp(f"train --recipe one.yaml {TINY} --quiet")
    table, total = plan(line).splitlines()
    assert re.search(
        r"digits \(network digits\), protocol demo with .*, seed 0: 12 runs, 10 to train, about \d+ s$", table
    )
    assert total.startswith("to train: 10 of 12 runs on cpu with 1 worker, about ")
    planned = json.loads(plan(f"{line} --json"))
    assert len(planned["runs"]) == 10
    assert {"SGD", "uSF"}.isdisjoint(run["method"] for run in planned["runs"])
    assert plan(f"train --recipe one.yaml {TINY}").splitlines()[-1] == "to train: 0 of 2 runs"


def test_shared_runs_count_once_in_the_total() -> None:
    planned = json.loads(plan(f"reproduce --table all {TINY} --json"))
    tables = planned["tables"]
    assert [table["table"] for table in tables] == ["table-2", "table-3", "table-4-c1", "table-4-c2", "table-5"]
    assert sum(table["runs"] for table in tables) > len(planned["runs"]) == 36
    assert sum(table["seconds"] for table in tables) > planned["seconds"] > max(t["seconds"] for t in tables)


@pytest.mark.usefixtures("_a_step_takes_a_millisecond")
def test_the_plan_as_json_says_what_is_not_known(nothing_is_read: Path) -> None:
    for name in range(400):
        write(nothing_is_read / "pets/cat" / f"{name}.png")
    line = "reproduce --table 2 --dataset mnist --dataset ./pets --protocol quick --json"
    planned = json.loads(plan(line))
    (table,) = planned["tables"]
    assert {run["run"] for run in planned["runs"]} == {None}  # ids are of decoded images
    assert {run["dataset"] for run in planned["runs"]} == {None}
    assert (table["columns"], table["runs"], table["to_train"]) == (11, 120, 120)
    assert table["rows"] == [
        {"dataset": "MNIST", "network": "network mnist", "available": True, "decoded": False},
        {"dataset": "pets", "network": "network large", "available": True, "decoded": False},
    ]
    alone = json.loads(plan(line.replace("--dataset ./pets", "")))["seconds"]
    assert table["seconds"] == planned["seconds"] > alone > 60


def test_on_cuda_no_step_is_timed(nothing_is_read: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "time_steps", lambda *arguments: pytest.fail("timed"))
    lines = plan("reproduce --table 2 --dataset mnist --protocol quick --device cuda").splitlines()
    assert all(line.endswith("the first epochs will show how long") for line in (lines[0], lines[-1]))


@pytest.mark.parametrize(
    ("devices", "where"),
    [("cpu,cpu,cpu", "on cpu with 3 workers"), ("cuda:1,cuda:0", "on cuda:1, cuda:0 with 2 workers")],
)
def test_several_devices_are_named_once_and_counted(devices: str, where: str, nothing_is_read: Path) -> None:
    *_, total = plan(f"reproduce --table 2 --dataset icub --protocol quick --device {devices}").splitlines()
    assert f" {where}" in total


def test_steps_of_large_networks_are_timed_on_few_samples(
    nothing_is_read: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seconds of a FLOP are made up: the estimate must be the FLOP of all epochs, the batch in proportion."""
    timed: list[float] = []

    def seconds_per_step(run: object, data: object, *, device: str, steps: int, replicas: int) -> float:
        flop = run.network.flop_per_sample() * run.protocol.samples_per_batch(1)  # type: ignore[attr-defined]
        timed.append(flop)
        return flop * 1e-9

    monkeypatch.setattr(rehearsal, "seconds_per_step", seconds_per_step)
    Path("large.yaml").write_text(
        "dataset: mnist\nnetwork: {input: 119x119x1, layers: [Conv 9x9x48/1, FC 500, FC classes]}\nmethod: SGD\n"
        "protocol: {extends: quick, epochs: 2, rate_multipliers: [1]}\n"
    )
    planned = json.loads(plan("train --recipe large.yaml --json --workers 1"))
    assert max(timed) <= rehearsal._MOST_FLOP["cpu"]
    network = NETWORKS["large"].model_copy(
        update={"input": (119, 119, 1), "layers": ("Conv 9x9x48/1", "FC 500", "FC classes")}
    )
    per_sample = network.resolve(10).flop_per_sample()
    train, test = CATALOG["mnist"].train_count, CATALOG["mnist"].test_count
    assert train is not None
    assert test is not None
    assert planned["seconds"] == pytest.approx(2 * (train + test / 3) * per_sample * 1e-9, rel=1e-3)


def test_steps_on_random_data_are_those_on_the_real_ones(
    digits_info: DecodedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What decides a step's time is equal: its kind, and the shapes and types of its mini-batch."""
    protocol, label = load_protocol("demo")
    runs = make_table_grid(load_table("2")[0], protocol, label, [digits_info]).all_runs().values()
    timed: dict[StepKind, float] = {}

    def seconds_per_step(run: Run, data: ResidentData, *, device: str, steps: int, replicas: int) -> float:
        kind, real = step_kind(run), load(digits_info, device=device)
        expected = real.batch(real.train, torch.arange(kind.batch_size))
        for index in torch.arange((steps + 1) * kind.batch_size).split(kind.batch_size):  # one to warm up
            for ours, theirs in zip(data.batch(data.train, index), expected, strict=True):
                assert (ours.shape, ours.dtype, ours.stride()) == (theirs.shape, theirs.dtype, theirs.stride())
        assert data.train.x.dtype == real.train.x.dtype
        assert set(data.train.y.tolist()) == set(real.train.y.tolist())
        timed[kind] = float(len(timed) + 1)
        return timed[kind]

    monkeypatch.setattr(rehearsal, "seconds_per_step", seconds_per_step)
    assert rehearsal.time_steps(runs, "cpu") == pytest.approx(timed)
    assert timed.keys() == representatives(runs).keys()
    assert {kind.network.flop_per_sample() for kind in timed} == {_FLOP_OF_DIGITS}
