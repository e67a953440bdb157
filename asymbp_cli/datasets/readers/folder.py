"""Images of the user's own: `train/CLASS/*` and `test/CLASS/*`, or one tree `CLASS/*` split by a seed."""

from pathlib import Path, PurePosixPath

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.readers.base import FoundDataset, OpenDataset
from asymbp_cli.datasets.readers.members import Members, open_members
from asymbp_cli.datasets.readers.picture import EXTENSIONS
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.datasets.splits import permutation
from asymbp_cli.errors import DataError
from asymbp_cli.paths import expand_home
from asymbp_cli.text import printable, printable_path

_DEFAULT_TEST_FRACTION = 0.25
_LAYOUT = "Expected: train/CLASS/* and test/CLASS/*, or one folder per class"
_SPLITS = {"train", "test", "val", "valid", "validation"}

Files = dict[str, tuple[str, ...]]  # name in the tree -> its parts below the wrapping folders


def locate(source: FolderSource) -> FoundDataset:
    """Return the images of a folder or archive; raises DataError if it does not exist or cannot be read."""
    path = expand_home(source.folder)
    tree = Tree(path)
    identity = [tree.source(), source.model_dump(mode="json", exclude={"label", "folder"})]
    return FoundDataset(
        key="folder",
        label=source.label or _label(path),
        paper_name=None,
        exact=False,
        source=identity,
        open=lambda: open_tree(tree, source),
    )


def _label(path: Path) -> str:
    """Return the file name without archive suffixes: `v1.2` stays, `flowers17.tar.gz` loses two."""
    name = printable_path(path.resolve().name)
    for ending in (".gz", ".xz", ".bz2", ".tgz", ".txz", ".tar", ".zip"):
        name = name.removesuffix(ending)
    return name


def open_tree(tree: Tree, source: FolderSource) -> OpenDataset:
    """Open the images of a tree; raises DataError unless it holds at least two classes with images."""
    names = tree.names()
    files = {name: parts for name in names if (parts := _visible(name)) and _is_image(name)}
    if not files:
        raise DataError(f"{tree.path} holds no images. {_LAYOUT}.")
    for name in names:
        if ".." in PurePosixPath(name).parts:
            raise DataError(f"{tree.path}: {name} leads out of it. Pack it again.")
    for name in files:
        if not printable(name):
            raise DataError(
                f"{tree.path}: {name!a} cannot be shown (control characters, or not UTF-8). Rename it."
            )
    folders = [parts for name in names if name.endswith("/") and (parts := _visible(name))]
    files, depth = _without_wrapper(files, folders)
    folders = [parts[depth:] for parts in folders]
    tops = {parts[0].lower() for parts in files.values()}
    official = {"train", "test"} <= tops
    if not official and tops <= _SPLITS:
        missing = " and ".join(f"{split}/" for split in ("train", "test") if split not in tops)
        raise DataError(f"{tree.path} has {'/, '.join(sorted(tops))}/, but no images in {missing}. {_LAYOUT}.")
    _refuse_empty_classes(tree.path, files, folders, 2 if official else 1)
    members = _take_official(tree.path, files, source) if official else _draw(tree.path, files, source)
    note = "" if official else f"split per class by seed {source.seed}"
    return open_members(tree, members, note=note)


def _visible(name: str) -> tuple[str, ...] | None:
    """Return the parts of a path, or None for files that operating systems hide."""
    parts = PurePosixPath(name).parts
    return None if any(part.startswith(".") or part == "__MACOSX" for part in parts) else parts


def _is_image(name: str) -> bool:
    return not name.endswith("/") and PurePosixPath(name).suffix.lower() in EXTENSIONS


def _without_wrapper(files: Files, folders: list[tuple[str, ...]]) -> tuple[Files, int]:
    """Drop folders that hold everything, as `flowers17/` in `flowers17/01_daffodil/image_0001.jpg`; count them.

    A folder next to another of the `folders`, even an empty one, is a class, not a wrapper.
    """
    depth = 0
    while len(tops := {parts[0] for parts in files.values()}) == 1 and min(map(len, files.values())) > 2:
        top = tops.pop()
        siblings = {parts[depth] for parts in folders if len(parts) == depth + 1} - {top}
        if top.lower() in _SPLITS or siblings:  # `train/` alone: its `test/` is missing
            break
        files = {name: parts[1:] for name, parts in files.items()}
        depth += 1
    return files, depth


def _refuse_empty_classes(path: Path, files: Files, folders: list[tuple[str, ...]], length: int) -> None:
    filled = {parts[:length] for parts in files.values()}
    for folder in sorted(folders):
        in_split = length == 1 or (folder[:1] and folder[0].lower() in ("train", "test"))
        if len(folder) == length and in_split and folder not in filled:
            raise DataError(f"{path}: {'/'.join(folder)}/ holds no images. Fill it or remove it.")


def _take_official(path: Path, files: Files, source: FolderSource) -> Members:
    if source.train_per_class or source.test_per_class or source.test_fraction:
        raise DataError(
            f"{path} has its own train and test folders. Leave out the per-class counts and fractions."
        )
    members: Members = {"train": [], "test": []}
    for name, parts in sorted(files.items()):
        top = parts[0].lower()
        if len(parts) < 3 or top not in members:
            raise DataError(f"{path}: {name} is outside train/CLASS/ and test/CLASS/. {_LAYOUT}.")
        members["train" if top == "train" else "test"].append((parts[1], name))
    train, test = ({label for label, _ in members[split]} for split in ("train", "test"))
    if train != test:
        odd = sorted(train ^ test)[0]
        here, there = ("train", "test") if odd in train else ("test", "train")
        raise DataError(f'{path}: class "{odd}" has images in {here}/ but none in {there}/')
    return _check_class_count(path, members)


def _draw(path: Path, files: Files, source: FolderSource) -> Members:
    by_class: dict[str, list[str]] = {}
    for name, parts in sorted(files.items()):
        if len(parts) < 2:
            raise DataError(f"{path}: {name} is not inside a class folder. {_LAYOUT}.")
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
        raise DataError(f'{path}: class "{label}" has {have} images, too few for {needed}')
    return train, test


def _check_class_count(path: Path, members: Members) -> Members:
    if len({label for label, _ in members["train"]}) < 2:
        raise DataError(f"{path} holds only one class. {_LAYOUT}, and at least two classes.")
    return members
