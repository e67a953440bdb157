"""Archives as the tools of all systems write them, and what is none: read, or named with what to do."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from folders import pack

from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError

Grow = Callable[..., Path]
COUNTS = {"cat": 2, "dog": 2}


def contents(path: Path) -> dict[str, bytes]:
    """Return the images of a tree by name."""
    tree = Tree(path)
    return dict(tree.read(set(tree.images())))


def patch_zip(archive: Path, local: int, central: int, value: int) -> Path:
    """Write a number of 2 bytes into every header of members, at these offsets."""
    content = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\3\4", local), (b"PK\1\2", central)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset : at + offset + 2] = struct.pack("<H", value)
            at = content.find(mark, at + 4)
    archive.write_bytes(content)
    return archive


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_of_pax_and_gnu(form: int, grow: Grow) -> None:
    tree = grow("pets", {"k" * 120 + "/" + "n" * 120: 1, "Käfer": 1})
    with tarfile.open(tree.with_suffix(".tar"), "w", format=form) as archive:
        archive.add(tree, ".")
    assert contents(tree.with_suffix(".tar")) == contents(tree)


def test_a_tar_of_1979_without_magic(grow: Grow) -> None:
    tree = grow("pets", COUNTS)
    archive = pack(tree, ".tar")
    content = bytearray(archive.read_bytes())
    at = content.find(b"ustar")
    while at >= 0:  # the magic, then the checksum of the header: a sum of its bytes with blanks in its own place
        start = at - 257
        content[at : at + 8] = bytes(8)
        content[start + 148 : start + 156] = b" " * 8
        content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
        at = content.find(b"ustar", at)
    archive.write_bytes(content)
    assert contents(archive) == contents(tree)


def test_holes_of_a_sparse_member_are_zeros(tmp_path: Path) -> None:
    parts = [(0, b"P5 32 32 255\n"), (512, b"\7" * 200)]  # offset and content: the rest is a hole
    size = 13 + 32 * 32
    header = tarfile.TarInfo("cat/0.pgm")
    header.size = sum(len(data) for _, data in parts)
    header.pax_headers = {
        "GNU.sparse.size": str(size),
        "GNU.sparse.numblocks": "2",
        "GNU.sparse.map": ",".join(f"{offset},{len(data)}" for offset, data in parts),
    }
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(header, io.BytesIO(b"".join(data for _, data in parts)))
    whole = bytearray(size)
    for offset, data in parts:
        whole[offset : offset + len(data)] = data
    assert contents(tmp_path / "x.tar") == {"cat/0.pgm": bytes(whole)}


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_the_content_tells_the_form_not_the_name(compress: Callable[[bytes], bytes], grow: Grow) -> None:
    tree = grow("pets", COUNTS)
    packed = pack(tree, ".tar").read_bytes()
    for name, content in (
        ("a.zip", packed),
        ("b.tar", compress(packed)),
        ("c.tar", pack(tree, ".zip").read_bytes()),
    ):
        tree.with_name(name).write_bytes(content)
        assert contents(tree.with_name(name)) == contents(tree)


def test_a_tar_that_ends_in_a_zip_is_a_tar(grow: Grow) -> None:
    tree = grow("pets", COUNTS)
    with zipfile.ZipFile(tree / "notes.zip", "w") as other:
        other.writestr("owl/0.png", "")
    assert list(contents(pack(tree, ".tar"))) == [f"{label}/{i}.png" for label in COUNTS for i in range(2)]


def test_a_zip_behind_a_program_is_a_zip(grow: Grow) -> None:
    tree = grow("pets", COUNTS)
    archive = pack(tree, ".zip")
    archive.write_bytes(b"MZ, a program that unpacks itself" + archive.read_bytes())
    assert contents(archive) == contents(tree)


def test_a_zip_with_records_of_64_bits(grow: Grow) -> None:
    tree = grow("pets", COUNTS)
    with zipfile.ZipFile(tree.with_suffix(".zip"), "w") as archive:
        for name, content in contents(tree).items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(content)
    assert contents(tree.with_suffix(".zip")) == contents(tree)


def test_a_duplicate_in_a_zip_is_named(grow: Grow) -> None:
    archive = pack(grow("pets", COUNTS), ".zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("./cat/0.png", b"")
    with pytest.raises(DataError, match=r"holds cat/0\.png twice. Pack it again"):
        Tree(archive).names()


def test_a_zip_of_windows_for_large_folders(grow: Grow) -> None:
    archive = patch_zip(pack(grow("pets", COUNTS), ".zip"), 8, 10, 9)  # Deflate64
    with pytest.raises(
        DataError, match=r"pets\.zip is compressed with Deflate64, as Windows does .*\. Unpack it and"
    ):
        Tree(archive).names()


def test_a_zip_of_an_unknown_method(grow: Grow) -> None:
    with pytest.raises(DataError, match=r"is compressed with method 77, which cannot be read here\. Unpack it"):
        Tree(patch_zip(pack(grow("pets", COUNTS), ".zip"), 8, 10, 77)).names()


def test_an_encrypted_zip(grow: Grow) -> None:
    with pytest.raises(
        DataError, match=r"pets\.zip is encrypted \(it wants a password\)\. Unpack it and name the"
    ):
        Tree(patch_zip(pack(grow("pets", COUNTS), ".zip"), 6, 8, 1)).names()


def test_the_last_part_of_a_split_zip(grow: Grow) -> None:
    archive = pack(grow("pets", COUNTS), ".zip")
    content = bytearray(archive.read_bytes())
    content[-18:-16] = struct.pack("<H", 2)  # the number of this disk
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"is the last of 3 parts of a zip\. Unpack them together"):
        Tree(archive).names()


@pytest.mark.parametrize("name", ["pets.z01", "pets.zip.001", "pets.tar.gz.aa", "pets.tar.part1"])
def test_a_part_of_a_split_archive(name: str, grow: Grow) -> None:
    part = grow("pets", COUNTS).with_name(name)
    whole = pack(part.with_name("pets"), ".tar.gz" if "tar" in name else ".zip")
    part.write_bytes(whole.read_bytes()[:-300])
    with pytest.raises(DataError, match=f"{name} is one part of a split archive. Join its parts, or unpack them"):
        Tree(part).names()


def test_a_volume_of_a_tar(grow: Grow) -> None:
    archive = pack(grow("pets", COUNTS), ".tar")
    entry = tarfile.TarInfo("cat/0.png")
    entry.type = b"M"
    archive.write_bytes(entry.tobuf() + archive.read_bytes())
    with pytest.raises(DataError, match=r"pets\.tar is one of several volumes. Unpack them and name the folder"):
        Tree(archive).names()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is an empty file, not an archive that can be read here. Fetch it again"),
        (
            b"\n<!DOCTYPE html>\n<html>",
            r"is a web page \(a login or an error\?\), not an archive .* Fetch it again",
        ),
        (b"\xef\xbb\xbf<HTML><body>", "is a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', "is a message of a server, .* Fetch it again"),
        (b'{"message": "Not Found"}', "is a message of a server"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS, .* Type git lfs pull"),
        (b"/annex/objects/SHA256E-s3--abc\n", "is a pointer of git-annex, .* Type git annex get"),
        (b"Rar!\x1a\7\1\0", "is a RAR archive, .* Unpack it and name the folder"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "is a 7z archive, .* Unpack it and name the folder"),
        (b"\x28\xb5\x2f\xfd\4", "is compressed with zstd, .* Unpack it"),
        (bytes(0x8001) + b"CD001", r"is the image of a disk \(ISO\). Mount or unpack it, and name the folder"),
        (
            gzip.compress(b"hello"),
            "is a single compressed file, not an archive. Unpack it, and name what comes out",
        ),
        (
            gzip.compress(gzip.compress(b"hello")),
            "is a single compressed file, not an archive. Unpack it once more",
        ),
        (lzma.compress(b"hello"), "is a single compressed file"),
        (bz2.compress(b"hello"), "is a single compressed file"),
        (b"\xff\xd8\xff\xe0", "is a single picture. Name a folder or archive that holds a folder for each class"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file, .* Name a folder or archive of images"),
    ],
)
def test_what_came_instead_of_an_archive_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(content)
    with pytest.raises(DataError, match=rf"^{tmp_path}/pets\.zip {said}"):
        Tree(tmp_path / "pets.zip")


def test_an_archive_of_nothing_is_one(tmp_path: Path) -> None:
    for name, mode in (("a.tar", "w"), ("b.tar.gz", "w:gz")):
        tarfile.open(tmp_path / name, mode).close()
        assert Tree(tmp_path / name).names() == []
    zipfile.ZipFile(tmp_path / "c.zip", "w").close()
    assert Tree(tmp_path / "c.zip").names() == []


def test_a_pipe_without_an_ending_is_not_waited_for(grow: Grow) -> None:
    tree = grow("pets", COUNTS)
    os.mkfifo(tree / "cat" / "pipe")
    assert len(Tree(tree).images()) == 4
    assert Tree(tree).passed_over() == {"": 1}
