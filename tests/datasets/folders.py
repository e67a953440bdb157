"""Folders of images, packed and unpacked."""

import tarfile
import zipfile
from pathlib import Path

OFFICIAL = {"train/cat": 3, "train/dog": 2, "test/cat": 1, "test/dog": 2}


def pack(tree: Path, ending: str, top: str = "") -> Path:
    """Return the tree as an archive next to it."""
    archive = tree.with_name(tree.name + ending)
    if ending == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(tree.rglob("*")):
                file.write(path, Path(top) / path.relative_to(tree))
    else:
        with tarfile.open(archive, f"w:{ending.removeprefix('.tar').removeprefix('.')}") as file:
            file.add(tree, top or ".")
    return archive


def unpack(archive: Path, target: Path) -> None:
    """Unpack an archive into `target`, and remove it."""
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    archive.unlink()
