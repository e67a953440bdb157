"""iCubWorld 1.0, categorization: the test objects are others than those trained on, so no frame is shuffled."""

from pathlib import Path

from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.datasets.readers import FoundDataset, OpenDataset, first, folder, located
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError


def locate(root: Path) -> FoundDataset | None:
    """Return iCubWorld from `root`, a folder or the zip; else None."""
    path = first(root, "iCubWorld", "icub", "iCubWorld.zip")
    if path is None:
        return None
    tree = Tree(path)
    return located(CATALOG["icub"], [tree.source()], lambda: _open(tree), exact=False)


def _open(tree: Tree) -> OpenDataset:
    row = CATALOG["icub"]
    tops = {part for name in tree.names() for part in name.split("/")[:2]}
    if tops & {"human", "robot"}:
        raise DataError(
            f"{tree.path} is Hello iCubWorld (7 objects, iCubWorld1.0.zip); {row.label} is iCubWorld.zip"
        )
    if not tops >= {"train", "test"}:
        raise DataError(f"{tree.path} has no train/ and test/; put there {row.accepts}")
    found = folder.open_tree(tree, FolderSource(folder=str(tree.path)))
    if len(found.classes) != row.classes:
        raise DataError(f"{tree.path} holds {len(found.classes)} categories; put there {row.accepts}")
    return found
