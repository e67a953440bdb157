"""iCubWorld 1.0, categorization: test objects differ from the training objects, so frames are not shuffled."""

from pathlib import Path

from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.datasets.readers import folder
from asymbp_cli.datasets.readers.base import Absent, FoundDataset, OpenDataset, find_first
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.errors import DataError
from asymbp_cli.text import count


def locate(root: Path) -> FoundDataset | Absent:
    """Return iCubWorld from `root`, a folder or the zip."""
    path = find_first(root, "iCubWorld", "icub", "iCubWorld.zip")
    if path is None:
        return Absent()
    tree = Tree(path)
    return FoundDataset.of(CATALOG["icub"], [tree.source()], lambda: _open(tree), path, exact=False)


def _open(tree: Tree) -> OpenDataset:
    entry = CATALOG["icub"]
    tops = {part for name in tree.names() for part in name.split("/")[:2]}
    if tops & {"human", "robot"}:
        raise DataError(
            f"{tree.path} is Hello iCubWorld (7 objects, iCubWorld1.0.zip). Get {entry.label} from iCubWorld.zip."
        )
    if not tops >= {"train", "test"}:
        raise DataError(f"{tree.path} has no train/ and test/ folders. Expected: {entry.accepts}.")
    opened = folder.open_tree(tree, FolderSource(folder=str(tree.path)), upright=False)
    if len(opened.classes) != entry.classes:
        found = count(len(opened.classes), "category", "categories")
        raise DataError(f"{tree.path} holds {found}. Expected: {entry.accepts}.")
    return opened
