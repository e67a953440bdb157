"""Folders and archives: links, damage and odd names are noticed, and nothing is written."""

import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from folders import OFFICIAL, pack

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import AsymbpError, DataError

Grow = Callable[..., Path]
Decoded = Callable[..., DecodedDataset]


def test_hard_links_in_a_tar_count(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    os.link(tree / "cat" / "0.png", tree / "cat" / "9.png")
    info = decoded(pack(tree, ".tar.gz"))
    assert info.train_count + info.test_count == 9


def test_names_that_point_elsewhere_write_nothing(grow: Grow, decoded: Decoded, tmp_path: Path) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    archive = pack(tree, ".tar")
    with tarfile.open(archive, "a") as file:
        file.add(tree / "cat" / "0.png", "../escaped/0.png")
    with pytest.raises(DataError, match=r"pets\.tar: \.\./escaped/0\.png leads out of it. Pack it again"):
        decoded(archive)
    assert not (tmp_path / "escaped").exists()


def test_a_link_in_a_tar_is_not_passed_over(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    (tree / "dog" / "9.png").symlink_to(tree / "cat" / "0.png")
    assert decoded(tree).train_count == 7
    with pytest.raises(DataError, match=r"dog/9\.png is a symbolic link. Pack it again with tar -h"):
        decoded(pack(tree, ".tar"))


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.xz"])
def test_damage_behind_the_last_member_is_noticed(ending: str, grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", {"cat": 4, "dog": 4}), ending)
    content = archive.read_bytes()
    archive.write_bytes(content[:-3])
    with pytest.raises(DataError, match="cannot be read"):
        decoded(archive)
    archive.write_bytes(content[:-8] + bytes(4) + content[-4:])  # the checksum
    with pytest.raises(DataError, match="cannot be read"):
        decoded(archive)


def test_two_tars_in_one_file_are_refused(grow: Grow, decoded: Decoded) -> None:
    one, other = (pack(grow(name, {"cat": 4, "dog": 4}), ".tar") for name in ("one", "other"))
    one.write_bytes(one.read_bytes() + other.read_bytes())
    with pytest.raises(DataError, match="unexpected data after the end of the archive"):
        decoded(one)


def test_a_name_that_is_packed_twice_is_named(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    archive = pack(tree, ".tar")
    with tarfile.open(archive) as file:
        name = next(member.name for member in file if member.name.endswith("cat/0.png"))
    with tarfile.open(archive, "a") as file:
        file.add(tree / "dog" / "0.png", name)
    with pytest.raises(DataError, match=r"cat/0\.png twice. Pack it again"):
        decoded(archive)


def test_a_zip_with_names_in_no_encoding(tmp_path: Path, decoded: Decoded) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("cät/0.png", b"")
    content = (tmp_path / "z.zip").read_bytes()
    (tmp_path / "z.zip").write_bytes(content.replace("ä".encode(), b"\xff\xfe"))
    with pytest.raises(DataError, match=r"z\.zip cannot be read"):
        decoded(tmp_path / "z.zip")


def test_nothing_there(decoded: Decoded, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.tar does not exist. Write the path of a folder, \.tar"):
        decoded(tmp_path / "nowhere.tar")


def test_a_file_that_is_no_archive(decoded: Decoded, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt cannot be read: .*It must be a folder, \.tar"):
        decoded(tmp_path / "notes.txt")


@pytest.mark.parametrize("cut", [0, 100, 512, 600, 1024])
def test_a_tar_cut_anywhere_loses_nothing_silently(cut: int, grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", {"cat": 6, "dog": 6}), ".tar")
    with tarfile.open(archive) as tar:
        start = tar.getmembers()[5].offset  # a header, behind whole members
    archive.write_bytes(archive.read_bytes()[: start + cut])
    with pytest.raises(DataError, match=r"cannot be read: (it is damaged or cut short at byte|unexpected end)"):
        decoded(archive)


def test_a_tar_damaged_between_members(grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", {"cat": 6, "dog": 6}), ".tar")
    with tarfile.open(archive) as tar:
        start = tar.getmembers()[5].offset
    content = archive.read_bytes()
    archive.write_bytes(content[: start + 20] + b"?" * 200 + content[start + 220 :])
    with pytest.raises(DataError, match=f"it is damaged or cut short at byte {start}"):
        decoded(archive)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("kept", [0.01, 0.3, 0.9])
def test_archives_cut_short(kept: float, ending: str, grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", {"cat": 40, "dog": 40}), ending)
    content = archive.read_bytes().rstrip(b"\0")  # a tar ends in zeros
    archive.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match=r"cannot be read: .*whole. Copy or fetch it again") as caught:
        decoded(archive)
    assert "\n" not in str(caught.value)
    assert str(archive) in str(caught.value)


def test_a_zip_with_a_password(grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", OFFICIAL), ".zip")
    content = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag "encrypted" in both headers
        at = content.find(mark)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(mark, at + 4)
    archive.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        decoded(archive)


def test_a_dangling_link(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    (tree / "train" / "cat" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"cannot be read: .*gone\.png"):
        decoded(tree)


def test_a_folder_that_may_not_be_read_does_not_vanish(
    grow: Grow, decoded: Decoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4, "owl": 4})
    scan = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "owl":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        decoded(tree)


def test_links_in_circles_end(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    before = decoded(tree)
    for name in ("one", "two"):
        (tree / "train" / "cat" / name).symlink_to(tree / "train" / "cat")
    assert decoded(tree).fingerprint == before.fingerprint


def test_a_pipe_among_the_images_is_no_image(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    os.mkfifo(tree / "train" / "cat" / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png is a pipe or device, not an image. Remove it"):
        decoded(tree)


@pytest.mark.parametrize("path", ["/dev/zero", "~nobody-of-that-name/pets", "x" * 300])
def test_what_is_no_folder(path: str, tmp_path: Path) -> None:
    with pytest.raises(AsymbpError):
        prepare(FolderSource(folder=path), (4, 6, 3), DataSource(cache_dir=tmp_path))


def test_a_file_of_many_gigabytes_in_a_small_archive_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asymbp_cli.datasets.archives.base.LARGEST_FILE", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"):
            archive.writestr(name, bytes(10_000))
    with pytest.raises(DataError, match="has 10,000 bytes, more than the 1,000 of an image"):
        prepare(FolderSource(folder=str(tmp_path / "bomb.zip")), (4, 6, 3), DataSource(cache_dir=tmp_path))


def test_a_folder_that_two_classes_link_to_counts_for_both(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    shared = grow("shared", {"more": 3}) / "more"
    before = decoded(tree).train_count
    for label in ("cat", "dog"):
        (tree / "train" / label / "linked").symlink_to(shared)
    assert decoded(tree).train_count == before + 6


def test_links_that_lead_to_each_other_end(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    one, two = tree / "train" / "cat", tree / "train" / "dog"
    for i in range(3):
        (one / f"{i}-there").symlink_to(two)
        (two / f"{i}-back").symlink_to(one)
    counts = np.unique(np.load(decoded(tree).path / "y_train.npy"), return_counts=True)[1]
    cats, dogs = (len(list(folder.glob("*.png"))) for folder in (one, two))
    assert list(counts) == [cats + 3 * dogs, dogs + 3 * cats]


def test_links_that_multiply_are_said(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {f"class{i}": 1 for i in range(9)})
    for i in range(9):
        for k in range(9):
            (tree / f"class{i}" / f"to{k}").symlink_to(tree / f"class{k}")
    with pytest.raises(DataError, match=r"its folders link to each other over and over\. Remove the links"):
        decoded(tree)
