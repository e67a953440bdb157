"""Every dataset of the paper from its files to a trained network, from miniatures in the published layout."""

import shutil
from pathlib import Path

import miniatures
import numpy as np
import painted
import pytest
import torch
from click.testing import CliRunner
from miniatures import ready

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.catalog import CATALOG, PAPER_ROWS
from asymbp_cli.datasets.resident import load
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.networks import network_for
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.engine import train_stack


@pytest.mark.parametrize("key", miniatures.WRITERS)
def test_every_image_goes_to_its_class(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = miniatures.install(key, tmp_path, monkeypatch)
    info = ready(key, tmp_path)
    assert (info.key, info.paper_name, info.label) == (key, CATALOG[key].paper_name, CATALOG[key].label)
    assert info.exact == (made.draw is None and key not in ("icub", "fashion-mnist"))
    assert (info.train_count, info.test_count) == (made.train, made.test)
    assert set(info.classes) <= set(made.classes)
    assert len(info.classes) == (made.draw.classes if made.draw else len(made.classes))
    for split, count in (("train", made.train), ("test", made.test)):
        images, labels = (np.load(info.path / f"{array}_{split}.npy") for array in "xy")
        assert len(images) == len(labels) == count
        for image, label in zip(images, labels, strict=True):
            assert painted.brightness(image) == made.classes[info.classes[label]]


@pytest.mark.parametrize("key", miniatures.WRITERS)
def test_its_network_learns_from_it(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    miniatures.install(key, tmp_path, monkeypatch)
    info = ready(key, tmp_path)
    run = Run(
        dataset=info.fingerprint,
        network=network_for(key).resolve(len(info.classes)),
        method=parse_method("uSF+BN+BM"),
        protocol=Protocol(epochs=1, batch_norm_batches=1),
        rate_multiplier=0.1,
        seed=0,
    )
    (ended,) = [event for event in train_stack(Stack((run,)), load(info)) if isinstance(event, EpochEnded)]
    assert not ended.diverged
    assert (ended.train_seen, ended.test_seen) == (info.train_count, info.test_count)
    assert torch.isfinite(torch.tensor(ended.train_loss))


def test_there_is_a_miniature_of_every_dataset() -> None:
    assert set(miniatures.WRITERS) | {"timit", "digits"} == set(CATALOG)
    assert set(CATALOG) == set(PAPER_ROWS.values()) | {"digits", "fashion-mnist"}


def test_a_table_on_all_datasets_plans_the_papers_runs_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in miniatures.WRITERS:
        miniatures.install(key, tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    places = ("--data-dir", str(tmp_path), "--cache-dir", str(tmp_path / "cache"), "--quiet", "--dry-run")
    shutil.rmtree(tmp_path / "pubfig83")
    (tmp_path / "lfw-funneled.tgz").unlink()

    def plan(table: str) -> list[str]:
        asked = ["reproduce", "--table", table, "--dataset", "all", "--protocol", "paper", *places]
        done = CliRunner().invoke(cli, asked)
        assert done.exit_code == 0, done.exception
        return str(done.stdout).splitlines()

    here = len(miniatures.WRITERS.keys() & set(PAPER_ROWS.values())) - 2
    first, *undecoded, last = plan("2")
    assert len(undecoded) == here
    assert all(line.endswith(" is not decoded: all 60 runs counted as missing") for line in undecoded)
    assert not (tmp_path / "cache").exists()
    assert last.startswith(f"to train: {12 * 5 * here} of {12 * 5 * here} runs on cpu")  # uSF+BM by two procedures
    assert first.endswith("; not available: PubFig83-ID, LFW-ID, TIMIT80")
    assert plan("5")[-1].startswith(f"to train: {8 * 5 * 6} of {8 * 5 * 6} runs on cpu")
    whole = plan("all")[-1]
    every = (36 * 6 + 32 * (here - 6)) * 5
    assert whole.startswith(f"to train: {every:,} of {every:,} runs on cpu")
