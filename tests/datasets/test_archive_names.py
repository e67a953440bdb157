"""Names in archives: separators, encodings, spellings, and symbolic links."""

import struct
import tarfile
import zipfile
import zlib
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


@pytest.mark.parametrize("system", [0, 3, 10])
def test_backslashes_that_separate(system: int, grow: Grow) -> None:
    tree = grow("pets", COUNTS)
    with zipfile.ZipFile(tree.with_suffix(".zip"), "w") as archive:
        for name, content in contents(tree).items():
            member = zipfile.ZipInfo(f"pets\\{name}".replace("/", "\\"))
            member.create_system = system
            archive.writestr(member, content)
    assert contents(tree.with_suffix(".zip")) == {f"pets/{k}": v for k, v in contents(tree).items()}


@pytest.mark.parametrize("system", [0, 3])
def test_a_backslash_that_is_part_of_a_name_on_unix(system: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        member = zipfile.ZipInfo("cat/a\\b.png")
        member.create_system = system
        archive.writestr(member, b"")
    assert Tree(tmp_path / "x.zip").names() == ["cat/a\\b.png" if system == 3 else "cat/a/b.png"]


@pytest.mark.parametrize("attributes", [0x10, 0o40755 << 16])
def test_a_folder_of_a_zip_without_its_slash(attributes: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        member = zipfile.ZipInfo("cat")
        member.external_attr = attributes
        archive.writestr(member, b"")
    assert Tree(tmp_path / "x.zip").names() == ["cat/"]


def unflagged(archive: Path, extra: bytes = b"", name: bytes = b"K\xc3\xa4fer/0.png") -> Path:
    """Write a zip whose only name has no flag that says UTF-8."""
    member = zipfile.ZipInfo("x" * len(name))
    member.extra = extra
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(member, b"")
    archive.write_bytes(archive.read_bytes().replace(b"x" * len(name), name))
    return archive


def test_names_in_utf8_without_the_flag(tmp_path: Path) -> None:
    assert Tree(unflagged(tmp_path / "x.zip")).names() == ["Käfer/0.png"]


def test_names_in_code_page_437(tmp_path: Path) -> None:
    assert Tree(unflagged(tmp_path / "x.zip", name=b"K\x84fer/0.png")).names() == ["Käfer/0.png"]


@pytest.mark.parametrize("valid", [True, False])
def test_the_name_that_info_zip_keeps_beside_the_name(valid: bool, tmp_path: Path) -> None:
    name, unicode = b"K\x84fer/0.png", "Жук/0.png".encode()
    field = b"\1" + struct.pack("<I", zlib.crc32(name) ^ (not valid)) + unicode
    archive = unflagged(tmp_path / "x.zip", struct.pack("<HH", 0x7075, len(field)) + field, name)
    assert Tree(archive).names() == ["Жук/0.png" if valid else "Käfer/0.png"]


@pytest.mark.parametrize("name", ["K\u00e4fer", "Ka\u0308fer"])
def test_a_class_in_one_spelling_keeps_it(name: str, grow: Grow) -> None:
    assert Tree(grow("pets", {name: 1, f"{name}/more": 1})).images() == [f"{name}/0.png", f"{name}/more/0.png"]


def link(name: str, target: str, archive: Path) -> Path:
    """Add a symbolic link to a tar or zip."""
    if archive.suffix == ".zip":
        member = zipfile.ZipInfo(name)
        member.create_system, member.external_attr = 3, 0o120777 << 16
        with zipfile.ZipFile(archive, "a") as file:
            file.writestr(member, target)
    else:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        with tarfile.open(archive, "a") as tar:
            tar.addfile(entry)
    return archive


LINKS = pytest.mark.parametrize("ending", [".tar", ".zip"])


@LINKS
@pytest.mark.parametrize(
    ("name", "target"),
    [
        *(("owl", "../store/owl"), ("owl", "cat"), ("owl", "/data/owl"), ("001.ak47", "../001.ak47")),
        *(("cat/9.png", "0.png"), ("cat/9.png", "/data/9.png"), ("cat/9.txt", "0.png"), ("cat/9", "../dog/0.png")),
    ],
)
def test_a_link_to_images_is_not_passed_over(name: str, target: str, ending: str, grow: Grow) -> None:
    archive = link(name, target, pack(grow("pets", COUNTS), ending))
    with pytest.raises(
        DataError, match=f"{name} is a symbolic link. Pack it again with {ending.removeprefix('.')} -"
    ):
        Tree(archive).names()


@LINKS
@pytest.mark.parametrize(
    ("name", "target"),
    [
        *(
            ("latest.txt", "notes.txt"),
            ("README", "README.md"),
            ("cat/LICENSE", "/LICENSE"),
            ("cat/a", "../notes.txt"),
        ),
        *(("._owl", "../owl"), ("__MACOSX/owl", "owl")),
    ],
)
def test_a_link_to_a_text_or_a_hidden_one_is_passed_over(name: str, target: str, ending: str, grow: Grow) -> None:
    tree = grow("pets", COUNTS)
    (tree / "notes.txt").write_text("hello")
    assert contents(link(name, target, pack(tree, ending))) == contents(tree)


def test_a_hard_link_to_a_folder_is_refused(grow: Grow) -> None:
    archive = pack(grow("pets", {"cat": 4, "dog": 4}), ".tar")
    entry = tarfile.TarInfo("dog/9.png")
    entry.type, entry.linkname = tarfile.LNKTYPE, "cat"
    with tarfile.open(archive, "a") as tar:
        tar.addfile(entry)
    tree = Tree(archive)
    with pytest.raises(DataError, match=r"dog/9\.png is a hard link to what is no file"):
        list(tree.read(set(tree.images())))


@pytest.mark.parametrize("encoding", ["cp932", "gbk", "big5"])
def test_names_in_another_code_page_keep_their_classes_apart(encoding: str, tmp_path: Path) -> None:
    """The second byte of some letters is a backslash, and some names alone would pass for UTF-8."""
    names = [f"{label}/{image}.png".encode(encoding) for label in ("十一", "十二") for image in ("一", "十", "表")]
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for i, name in enumerate(names):
            file.writestr(zipfile.ZipInfo(f"{i}".ljust(len(name), "x")), b"")
    content = archive.read_bytes()
    for i, name in enumerate(names):
        content = content.replace(f"{i}".ljust(len(name), "x").encode(), name)
    archive.write_bytes(content)
    found = Tree(archive).names()
    assert len({name.split("/")[0] for name in found}) == 2
    assert all(name.count("/") == 1 for name in found)
