"""Images of the user's own: `train/CLASS/*` and `test/CLASS/*`, or one tree `CLASS/*` split by a seed."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from asymbp_cli.datasets.archives.names import is_document
from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.readers.base import FoundDataset, OpenDataset
from asymbp_cli.datasets.readers.idx import is_idx_name, locate_idx
from asymbp_cli.datasets.readers.layout import LAYOUT, Parts, count_wrappers, find_common_folders, find_splits
from asymbp_cli.datasets.readers.members import Members, open_members
from asymbp_cli.datasets.readers.picture import count_channels
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.datasets.splits import permutation
from asymbp_cli.errors import DataError
from asymbp_cli.files.paths import expand_home
from asymbp_cli.text import count, printable, printable_path

_DEFAULT_TEST_FRACTION = 0.25
_LOOKED_AT = 10  # images, for their colours

Files = dict[str, Parts]  # name in the tree -> its parts below the wrapping folders


def locate(source: FolderSource) -> FoundDataset:
    """Return the images of a folder or archive; raises DataError if it does not exist or cannot be read."""
    path = expand_home(source.folder)
    arrays = locate_idx(path, source)
    tree = Tree(path)
    if arrays and tree.first_image() is not None:
        raise DataError(f"{path} holds idx files and pictures. Give each a folder of its own.")
    if arrays:
        return arrays
    identity = [tree.source(), source.model_dump(mode="json", exclude={"label", "folder"})]
    return FoundDataset(
        key="folder",
        label=source.label or _label(path),
        paper_name=None,
        exact=False,
        source=identity,
        open=lambda: open_tree(tree, source),
        channels=lambda: _look_at_channels(tree),
    )


def _look_at_channels(tree: Tree) -> int | None:
    """Return 3 if some of a few images are in colour, 1 if all are grey; None if none can be read."""
    names = tree.sample(_LOOKED_AT)
    found = {count_channels(content) for _, content in islice(tree.read(set(names)), len(names))}
    return max(filter(None, found), default=None)


def _label(path: Path) -> str:
    """Return the file name without archive suffixes: `v1.2` stays, `flowers17.tar.gz` loses two."""
    name = printable_path(path.resolve().name)
    for ending in (".gz", ".xz", ".bz2", ".tgz", ".txz", ".tar", ".zip"):
        name = name.removesuffix(ending)
    return name


def open_tree(tree: Tree, source: FolderSource, *, upright: bool = True) -> OpenDataset:
    """Open the images of a tree; raises DataError unless it holds at least two classes with images.

    With `upright` pictures are turned by their EXIF orientation.
    """
    names = tree.names()
    files = {name: PurePosixPath(name).parts for name in tree.images()}
    _check_names(tree, names, files)
    folders = [PurePosixPath(name).parts for name in _list_folders(names)]
    depth = count_wrappers(files.values(), folders, keep_splits=True)
    files = {name: parts[depth:] for name, parts in files.items()}
    folders = [parts[depth:] for parts in folders if len(parts) > depth]
    rewrite = find_splits(tree.path, list(files.values()), folders)
    if rewrite:
        files = {name: rewrite(parts) for name, parts in files.items()}
        folders = [rewrite(parts) for parts in folders]
    _refuse_empty_classes(tree.path, files, folders, 2 if rewrite else 1)
    files = _spell_alike(files, 1 if rewrite else 0)
    notes = [describe_passed_over(tree)]
    if not rewrite and (common := find_common_folders(files.values())):
        notes.append(f"each class holds the folders {', '.join(common[:3])}: are these the classes?")
    if rewrite:
        members, unused = _take_splits(tree.path, files, source)
        notes.insert(0, f"{unused:,} validation images are not used" if unused else "")
    else:
        members = _draw(tree.path, files, source)
        notes.insert(0, f"split per class by seed {source.seed}")
    return open_members(tree, members, note="; ".join(filter(None, notes)), upright=upright)


def _list_folders(names: Sequence[str]) -> list[str]:
    """Return the folders of a tree, without those that hold documents only: these are no classes.

    An empty folder may be a class whose images are missing, as may one of files that are not known.
    """
    contents: dict[str, list[bool]] = {name: [] for name in names if name.endswith("/")}
    for name in names:
        if not name.endswith("/"):
            for folder in PurePosixPath(name).parents:
                contents.setdefault(f"{folder}/", []).append(is_document(name))
    return [
        folder for folder, documents in contents.items() if folder != "./" and not (documents and all(documents))
    ]


def _check_names(tree: Tree, names: Iterable[str], files: Files) -> None:
    """Raise DataError if there are no images, or names that lead out of the tree or cannot be shown."""
    if not files:
        if any(is_idx_name(PurePosixPath(name).name) for name in names):
            raise DataError(f"{tree.path} holds idx files. Unpack it if it is packed, and name their folder.")
        others = describe_passed_over(tree)
        raise DataError(f"{tree.path} holds no images{f' ({others})' if others else ''}. {LAYOUT}.")
    for name in names:
        if ".." in PurePosixPath(name).parts:
            raise DataError(f"{tree.path}: {name} leads out of it. Pack it again.")
    for name in files:
        if not printable(name):
            raise DataError(
                f"{tree.path}: {name!a} cannot be shown (control characters, or not UTF-8). Rename it."
            )


def describe_passed_over(tree: Tree) -> str:
    """Return how many visible files are no images, by ending; "" if all are."""
    found = [f"{count:,} {ending or 'without ending'}" for ending, count in tree.passed_over().items()]
    return f"passed over: {', '.join(found)}" if found else ""


def _refuse_empty_classes(path: Path, files: Files, folders: list[Parts], length: int) -> None:
    filled = {parts[:length] for parts in files.values()}
    for folder in sorted(folders):
        in_split = length == 1 or folder[0] in ("train", "test")
        if len(folder) == length and in_split and folder not in filled:
            raise DataError(f"{path}: {'/'.join(folder)}/ holds no images. Fill it or remove it.")


def _take_splits(path: Path, files: Files, source: FolderSource) -> tuple[Members, int]:
    """Return the images of the folder's own splits, and how many validation images there are besides."""
    if source.asks_for_a_split:
        raise DataError(
            f"{path} has its own train and test folders. Leave out the per-class counts, fraction and seed."
        )
    members: Members = {"train": [], "test": []}
    unused = 0
    for name, parts in sorted(files.items()):
        if parts[0] == "validation":
            unused += 1
        elif len(parts) < 3 or parts[0] not in members:
            raise DataError(f"{path}: {name} is outside train/CLASS/ and test/CLASS/. {LAYOUT}.")
        else:
            members[parts[0]].append((parts[1], name))
    train, test = ({label for label, _ in members[split]} for split in ("train", "test"))
    if train != test:
        odd = sorted(train ^ test)[0]
        here, there = ("train", "test") if odd in train else ("test", "train")
        raise DataError(f'{path}: class "{odd}" has images in {here}/ but none in {there}/')
    return _check_class_count(path, members), unused


def _spell_alike(files: Files, level: int) -> Files:
    """Return the paths with one spelling of a class whose letters are composed in two ways, as e + accent is é."""
    spellings: dict[str, set[str]] = {}
    for parts in files.values():
        for label in parts[level : level + 1]:
            spellings.setdefault(unicodedata.normalize("NFC", label), set()).add(label)
    one = {label: name for name, labels in spellings.items() if len(labels) > 1 for label in labels}
    return {
        name: (*parts[:level], *(one.get(label, label) for label in parts[level : level + 1]), *parts[level + 1 :])
        for name, parts in files.items()
    }


def _draw(path: Path, files: Files, source: FolderSource) -> Members:
    by_class: dict[str, list[str]] = {}
    for name, parts in sorted(files.items()):
        if len(parts) < 2:
            raise DataError(f"{path}: {name} is not inside a class folder. {LAYOUT}.")
        by_class.setdefault(parts[0], []).append(name)
    members: Members = {"train": [], "test": []}
    for label, names in by_class.items():
        train, test = _counts(path, label, len(names), source)
        order = [names[i] for i in permutation(len(names), source.seed, "split", label)]
        members["train"] += [(label, name) for name in sorted(order[:train])]
        members["test"] += [(label, name) for name in sorted(order[train : train + test])]
    return _check_class_count(path, members)


def _counts(path: Path, label: str, have: int, source: FolderSource) -> tuple[int, int]:
    """Return how many of `have` images train and test."""
    train, test = source.train_per_class, source.test_per_class
    if train is None and test is None:
        test = max(1, round(have * (source.test_fraction or _DEFAULT_TEST_FRACTION)))
    train = have - (test or 0) if train is None else train
    test = have - train if test is None else test
    if min(train, test) < 1 or train + test > have:
        needed = f"{max(train, 1)} to train and {max(test, 1)} to test"
        raise DataError(f'{path}: class "{label}" has {count(have, "image")}, too few for {needed}')
    return train, test


def _check_class_count(path: Path, members: Members) -> Members:
    if len({label for label, _ in members["train"]}) < 2:
        raise DataError(f"{path} holds only one class. {LAYOUT}, and at least two classes.")
    return members
