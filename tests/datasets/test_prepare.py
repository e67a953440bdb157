"""The cache of decoded datasets: used again, rebuilt when damaged, shared by processes, full disks."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from asymbp_cli.datasets import prepare as module
from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError
from asymbp_cli.files.locks import hold_lock

Grow = Callable[..., Path]
Decoded = Callable[..., DecodedDataset]
PETS = {"train/cat": 3, "train/dog": 2, "test/cat": 1, "test/dog": 2}


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the directories that were decoded into, filled as it happens."""
    seen: list[Path] = []
    decode = module._decode

    def note(dataset, shape, resize, directory, on_progress):
        seen.append(directory)
        return decode(dataset, shape, resize, directory, on_progress)

    monkeypatch.setattr(module, "_decode", note)
    return seen


def test_decoded_once(grow: Grow, decoded: Decoded, decodings: list[Path]) -> None:
    tree = grow("pets", PETS)
    assert decoded(tree) == decoded(tree)
    assert len(decodings) == 1
    assert not decodings[0].exists()  # it has its final name


def test_the_second_start_is_fast(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", PETS)
    decoded(tree)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        decoded(tree)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05  # the least, since other programs take their share of the machine


def test_a_label_decodes_nothing(grow: Grow, decoded: Decoded, decodings: list[Path]) -> None:
    tree = grow("pets", PETS)
    assert decoded(tree).label == "pets"
    assert decoded(tree, label="animals").label == "animals"
    assert len(decodings) == 1


def test_what_decodes_anew(grow: Grow, decoded: Decoded, decodings: list[Path], tmp_path: Path) -> None:
    tree = grow("pets", {"cat": 8, "dog": 8})
    places = {decoded(tree).directory}
    places.add(decoded(tree, (4, 6, 1)).directory)
    places.add(decoded(tree, seed=1).directory)
    places.add(prepare(str(tree), (4, 6, 3), DataSource(cache_dir=tmp_path / "cache"), resize="crop").directory)
    os.utime(tree / "cat" / "0.png", ns=(0, 0))
    places.add(decoded(tree).directory)
    (tree / "cat" / "0.png").unlink()
    places.add(decoded(tree).directory)
    assert len(places) == len(decodings) == 6


def cut(directory: Path) -> None:
    file = directory / "x_test.npy"
    file.write_bytes(file.read_bytes()[:-1])


def rewrite(**changes: object) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        info = json.loads((directory / "info.json").read_text()) | changes
        (directory / "info.json").write_text(json.dumps(info))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        lambda directory: (directory / "y_train.npy").unlink(),
        lambda directory: (directory / "info.json").unlink(),
        lambda directory: (directory / "info.json").write_text("{"),
        lambda directory: (directory / "info.json").write_text("[]"),
        lambda directory: (directory / "info.json").write_text("{}"),
        rewrite(sizes={}),
        rewrite(sizes=None),
        rewrite(train_count="many"),
        rewrite(unknown=1),
    ],
)
def test_a_damaged_cache_is_rebuilt(
    damage: Callable[[Path], None], grow: Grow, decoded: Decoded, decodings: list[Path]
) -> None:
    tree = grow("pets", PETS)
    before = decoded(tree)
    damage(before.path)
    assert decoded(tree) == before
    assert len(np.load(before.path / "x_test.npy")) == 3
    assert len(decodings) == 2


def test_a_moved_cache_still_serves(grow: Grow, decodings: list[Path], tmp_path: Path) -> None:
    tree = FolderSource(folder=str(grow("pets", PETS)))
    prepare(tree, (4, 6, 3), DataSource(cache_dir=tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    info = prepare(tree, (4, 6, 3), DataSource(cache_dir=tmp_path / "new"))
    assert len(decodings) == 1
    assert info.path.parents[1] == tmp_path / "new"


def test_threads_decode_once(grow: Grow, decoded: Decoded, decodings: list[Path]) -> None:
    tree = grow("pets", {"cat": 50, "dog": 50})
    found: list[DecodedDataset] = []
    threads = [threading.Thread(target=lambda: found.append(decoded(tree))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(decodings) == 1
    assert all(info == found[0] for info in found)


def test_processes_share_a_cache(grow: Grow, decoded: Decoded, tmp_path: Path) -> None:
    tree = grow("pets", {"cat": 50, "dog": 50})
    code = (
        "import sys; from pathlib import Path; from asymbp_cli.datasets.prepare import prepare; "
        "from asymbp_cli.datasets.source import DataSource; "
        "print(prepare(sys.argv[1], (4, 6, 3), DataSource(None, Path(sys.argv[2]))).model_dump_json())"
    )
    command = [sys.executable, "-c", code, str(tree), str(tmp_path / "cache")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert answers == {f"{decoded(tree).model_dump_json()}\n"}


def test_an_intact_cache_is_never_replaced(
    grow: Grow, decoded: Decoded, decodings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = grow("pets", PETS)
    info = decoded(tree)
    before = info.path.stat().st_ino
    read_verified, calls = module.read_verified, iter([lambda target: None])
    monkeypatch.setattr(module, "read_verified", lambda target: next(calls, read_verified)(target))
    assert decoded(tree) == info  # it looked before the other process had finished
    assert info.path.stat().st_ino == before
    assert len(decodings) == 1


def test_what_a_killed_process_left_is_cleared(grow: Grow, decoded: Decoded, tmp_path: Path) -> None:
    tree = grow("pets", PETS)
    info = decoded(tree)
    shutil.rmtree(info.path)
    left = info.path.with_name(f".{info.path.name}.part")
    left.mkdir()
    (left / "x_train.npy").write_text("half")
    assert decoded(tree) == info
    assert not left.exists()
    others = [left.with_name(f".{name}.part") for name in ("folder-left", "folder-held")]
    for other in others:
        other.mkdir()
    with hold_lock(left.with_name(".folder-held.lock")):
        decoded(grow("more", PETS))  # of other datasets too, unless one is being decoded
    assert [other.exists() for other in others] == [False, True]
    assert sorted(file.name for file in info.path.iterdir()) == [
        "info.json", "x_test.npy", "x_train.npy", "y_test.npy", "y_train.npy",
    ]  # fmt: skip


def test_an_interruption_leaves_nothing(grow: Grow, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    source = FolderSource(folder=str(grow("pets", PETS)))
    with pytest.raises(KeyboardInterrupt):
        prepare(source, (4, 6, 3), DataSource(cache_dir=tmp_path / "cache", on_progress=interrupt))
    assert [file.suffix for file in (tmp_path / "cache" / "resident").iterdir()] == [".lock"]


def test_a_full_disk(grow: Grow, decoded: Decoded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(
        DataError, match=r"cannot keep .* in .*resident: No space left on device\. Free some space"
    ):
        decoded(grow("pets", PETS))
    assert [file.suffix for file in (tmp_path / "cache" / "resident").iterdir()] == [".lock"]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_arrays_have_their_place_on_the_disk(tmp_path: Path) -> None:
    module._reserve(tmp_path / "x.npy", (1000, 100))
    assert (tmp_path / "x.npy").stat().st_blocks * 512 >= 100_000


def test_a_cache_directory_that_is_a_file(grow: Grow, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match=r"cannot keep the decoded images.*--cache-dir"):
        prepare(str(grow("pets", PETS)), (4, 6, 3), DataSource(cache_dir=tmp_path / "cache"))


def test_progress_is_reported(grow: Grow, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    source = FolderSource(folder=str(grow("pets", PETS)))
    prepare(
        source,
        (4, 6, 3),
        DataSource(cache_dir=tmp_path / "cache", on_progress=lambda *progress: seen.append(progress)),
    )
    assert seen == [("decoding pets", 8, 8)]


def test_images_that_vanish_while_decoding(grow: Grow, decoded: Decoded, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = grow("pets", PETS)
    monkeypatch.setattr("asymbp_cli.datasets.readers.tree.Tree.read", lambda self, wanted: iter(()))
    with pytest.raises(DataError, match="8 images that the list names could not be read"):
        decoded(tree)


def test_the_fingerprint_sees_pixels_labels_and_names(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", PETS)
    prints = [decoded(tree).fingerprint]
    (tree / "test" / "dog" / "1.png").write_bytes((tree / "test" / "dog" / "0.png").read_bytes())
    prints.append(decoded(tree).fingerprint)
    (tree / "train" / "dog" / "1.png").rename(tree / "train" / "cat" / "9.png")
    prints.append(decoded(tree).fingerprint)
    for split in ("train", "test"):
        (tree / split / "dog").rename(tree / split / "puppy")
    prints.append(decoded(tree).fingerprint)
    assert len(set(prints)) == 4


def zeros(directory: Path) -> None:
    file = directory / "x_train.npy"
    content = file.read_bytes()
    file.write_bytes(content[:128] + bytes(len(content) - 128))


def wrong_labels(directory: Path) -> None:
    np.save(directory / "y_test.npy", np.full(3, 77))


@pytest.mark.parametrize("damage", [zeros, wrong_labels])
def test_a_cache_of_the_right_size_with_other_contents_is_rebuilt(
    damage: Callable[[Path], None], grow: Grow, decoded: Decoded, decodings: list[Path]
) -> None:
    tree = grow("pets", PETS)
    before = decoded(tree)
    pixels = np.load(before.path / "x_train.npy")
    damage(before.path)
    assert decoded(tree) == before
    assert len(decodings) == 2
    assert np.array_equal(np.load(before.path / "x_train.npy"), pixels)
    assert np.load(before.path / "y_test.npy").max() == 1


def test_a_cache_that_was_only_touched_still_serves(grow: Grow, decoded: Decoded, decodings: list[Path]) -> None:
    tree = grow("pets", PETS)
    before = decoded(tree)
    os.utime(before.path / "x_train.npy", ns=(0, 0))
    assert decoded(tree) == before
    assert len(decodings) == 1


@pytest.mark.parametrize("name", ["y_train.npy", "x_test.npy", "info.json"])
def test_an_emptied_file_of_the_cache_is_decoded_again(name: str, tmp_path: Path) -> None:
    info = prepare("digits", (8, 8, 1), DataSource(cache_dir=tmp_path))
    (info.path / name).write_bytes(b"")
    assert prepare("digits", (8, 8, 1), DataSource(cache_dir=tmp_path)) == info
    assert (info.path / name).stat().st_size > 0
