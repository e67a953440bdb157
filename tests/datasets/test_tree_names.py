"""Which files of a tree are visible, and which of these are images: alike in folders, tars and zips."""

from collections.abc import Callable
from pathlib import Path

import pytest
from folders import pack

from asymbp_cli.datasets.archives.names import is_hidden
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError

Grow = Callable[..., Path]
PACKED = pytest.mark.parametrize("ending", ["", ".tar", ".tar.gz", ".zip"])


@pytest.mark.parametrize(
    "name",
    [
        *("._cat.png", ".DS_Store", "cat/.ipynb_checkpoints/0.png", "__MACOSX/cat/0.png", "cat/Thumbs.db"),
        *("cat/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg", "cat/0.jpg@SynoEAStream", "cat/0.jpg@SynoResource"),
        *("#recycle/0.png", "#snapshot/0.png", "@Recycle/0.png", "@Recently-Snapshot/0.png", "@tmp/0.png"),
        *("$RECYCLE.BIN/0.png", "$Recycle.Bin/0.png", "RECYCLER/0.png", "System Volume Information/0.png"),
        *("lost+found/0.png", "Network Trash Folder/0.png", "Temporary Items/0.png", "lost+found/"),
    ],
)
def test_what_systems_leave_is_hidden(name: str) -> None:
    assert is_hidden(name)


@pytest.mark.parametrize(
    "name", ["cat/0.png", "./cat/0.png", "../cat/0.png", "recycle/0.png", "lost/0.png", "a.b/"]
)
def test_what_people_name_is_visible(name: str) -> None:
    assert not is_hidden(name)


@PACKED
def test_hidden_files_do_not_exist(ending: str, grow: Grow) -> None:
    tree = grow("pets", {"cat": 1, "cat/@eaDir/0.png": 2, "dog": 1, "#recycle": 1, "__MACOSX/cat": 1})
    (tree / "cat" / "._0.png").write_bytes(b"\0\5\x16\7")
    path = pack(tree, ending) if ending else tree
    assert Tree(path).names() == ["cat/", "cat/0.png", "dog/", "dog/0.png"]
    assert Tree(path).images() == ["cat/0.png", "dog/0.png"]
    assert Tree(path).passed_over() == {}


@PACKED
def test_images_are_told_by_ending_or_else_by_content(ending: str, grow: Grow) -> None:
    tree = grow("pets", {"cat": 1})
    image = (tree / "cat" / "0.png").read_bytes()
    for name in ("a.JPE", "a.jpg.1", "a.0001", "a", "a.", "a.TGA"):
        (tree / "cat" / name).write_bytes(image)
    for name in ("README", "b.txt", "c.TXT", "d.5", "e.mp4", "f.png.part"):
        (tree / "cat" / name).write_bytes(image if "." in name[1:] and name != "d.5" else b"Portable")
    path = pack(tree, ending) if ending else tree
    images = ["0.png", "a", "a.", "a.0001", "a.JPE", "a.TGA", "a.jpg.1"]
    assert Tree(path).images() == [f"cat/{name}" for name in images]
    assert list(Tree(path).passed_over().items()) == [(".txt", 2), ("", 1), (".5", 1), (".mp4", 1), (".part", 1)]


def test_a_link_that_a_copy_turned_into_text_is_not_passed_over(grow: Grow) -> None:
    tree = grow("pets", {"cat": 1, "dog": 1})
    grow("store", {"owl": 1})
    for text in ("../store/owl", "../store/elk", "XSym\n0012\n0123", "!<symlink>store"):
        (tree / "owl").write_text(text)
        for path in (tree, pack(tree, ".tar"), pack(tree, ".zip")):
            with pytest.raises(DataError, match=r"owl is the text of a symbolic link, .*\. Copy "):
                Tree(path).names()
