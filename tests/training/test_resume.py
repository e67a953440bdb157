"""Which epoch a checkpoint holds, without torch."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from asymbp_cli.errors import StoreError
from asymbp_cli.training import checkpoint, resume

RUN = "0123456789abcdef"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A directory with a checkpoint of epoch 7, written by the safetensors library."""
    write(tmp_path, RUN)
    return tmp_path


def write(directory: Path, name: str, run: str = RUN) -> None:
    tensors = {"weights": np.arange(100, dtype=np.float32), "state": np.zeros(100, np.float32)}
    metadata = {"epoch": "7", "diverged": "0", "run": run, "crc32": str(resume.payload_checksum(save(tensors)))}
    resume.checkpoint_path(directory, name).write_bytes(save(tensors, metadata))


def test_the_epoch_is_read_from_the_header(saved: Path) -> None:
    assert resume.saved_epochs(saved, [RUN, "other"]) == {RUN: 7, "other": 0}


@pytest.mark.parametrize("keep", [0, 4, 8, 40, 300, -1])
def test_a_file_cut_short_does_not_count(saved: Path, keep: int) -> None:
    path = resume.checkpoint_path(saved, RUN)
    path.write_bytes(path.read_bytes()[:keep])
    assert resume.saved_epoch(saved, RUN) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 64,
        (2).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"null",
        (33).to_bytes(8, "little") + b'{"__metadata__": {"epoch": "-1"}}',
        (5000).to_bytes(8, "little") + b"[" * 5000,
        (34).to_bytes(8, "little") + b'{"__metadata__": {"epoch": "two"}}',
    ],
)
def test_other_contents_do_not_count(tmp_path: Path, content: bytes) -> None:
    resume.checkpoint_path(tmp_path, RUN).write_bytes(content)
    assert resume.saved_epoch(tmp_path, RUN) == 0


def test_a_file_that_grew_does_not_count(saved: Path) -> None:
    with open(resume.checkpoint_path(saved, RUN), "ab") as file:
        file.write(b"x")
    assert resume.saved_epoch(saved, RUN) == 0


@pytest.mark.parametrize("place", [-1, -400, -401, -800])
def test_a_flipped_bit_does_not_count(saved: Path, place: int) -> None:
    path = resume.checkpoint_path(saved, RUN)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert resume.saved_epoch(saved, RUN) == 0


def test_the_checkpoint_of_another_run_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, RUN, run="another")
    assert resume.saved_epoch(tmp_path, RUN) == 0


def test_what_is_no_file_does_not_count(tmp_path: Path) -> None:
    resume.checkpoint_path(tmp_path, RUN).mkdir()
    assert resume.saved_epoch(tmp_path, RUN) == 0
    os.mkfifo(resume.checkpoint_path(tmp_path, "other"))
    assert resume.saved_epoch(tmp_path, "other") == 0


def test_sweep_deletes_half_written_files_only(saved: Path) -> None:
    (saved / f".{RUN}.safetensors.123").touch()
    resume.sweep(saved)
    assert [path.name for path in saved.iterdir()] == [f"{RUN}.safetensors"]
    resume.discard(saved, [RUN, "other"])
    assert not list(saved.iterdir())


def test_what_cannot_be_deleted_is_said(tmp_path: Path) -> None:
    resume.checkpoint_path(tmp_path, RUN).mkdir()
    with pytest.raises(StoreError, match=r"cannot delete .*safetensors: .*; delete it yourself"):
        resume.discard(tmp_path, [RUN])
    (tmp_path / f".{RUN}.safetensors.1").mkdir()
    with pytest.raises(StoreError, match=r"cannot delete .*safetensors\.1: .*; delete it yourself"):
        resume.sweep(tmp_path)


@pytest.mark.parametrize(
    ("fact", "damaged"), [('"epoch":"7"', '"epoch":"6"'), ('"diverged":"0"', '"diverged":"1"')]
)
def test_a_damaged_fact_of_the_header_is_noticed(fact: str, damaged: str, tmp_path: Path) -> None:
    rows = torch.zeros(3), torch.ones(3)
    checkpoint.write(tmp_path, RUN, checkpoint.Checkpoint(7, *rows, diverged=False))
    path = resume.checkpoint_path(tmp_path, RUN)
    assert resume.saved_epoch(tmp_path, RUN) == 7
    content = path.read_bytes()
    assert content.count(fact.encode()) == 1
    path.write_bytes(content.replace(fact.encode(), damaged.encode()))
    assert resume.saved_epoch(tmp_path, RUN) == 0
    path.write_bytes(content.replace(b"file_crc32", b"file_crc33"))  # nor is its checksum lost in silence
    assert resume.saved_epoch(tmp_path, RUN) == 0


def test_every_flipped_bit_of_the_header_is_noticed(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, RUN, checkpoint.Checkpoint(7, torch.zeros(3), torch.ones(3), diverged=False))
    path = resume.checkpoint_path(tmp_path, RUN)
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert resume.saved_epoch(tmp_path, RUN) == 0, bit
