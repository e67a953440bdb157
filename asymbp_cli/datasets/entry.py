"""The form of a catalog entry. No torch, no numpy."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Archive:
    """A file to download: its name in the data directory, mirrors in order, checksum and bytes as published.

    Without a checksum, the reader checks the contents. Without a size, progress relies on the server's, and the
    checksum decides.
    """

    name: str
    urls: tuple[str, ...]
    checksum: str = ""  # MD5, SHA-1 or SHA-256; the length says which
    size: int | None = None
    unpacked_md5: str = ""  # of the file in a .gz that may also be there unpacked
    unpacked: str = ""  # the folder that unpacking it leaves, in the data directory, if that may be there instead


def at_home(
    home: str, name: str, checksum: str = "", size: int | None = None, *, folder: str = "", unpacked: str = ""
) -> Archive:
    """Return the archive `name` from the address `home`, which belongs in `folder` of the data directory."""
    return Archive(folder + name, (home + name,), checksum, size, unpacked=unpacked and folder + unpacked)


@dataclass(frozen=True)
class Draw:
    """A random choice of classes and images (section 5); the authors did not publish theirs."""

    classes: int  # to draw
    train: int  # images per class
    test: int
    of: int  # classes in the dataset; any other number is an error
    images: int | None  # in these classes, if the number is published
    fewest_test: int | None = None  # a class short of images gives the rest, at least this many, to test

    def is_eligible(self, count: int) -> bool:
        """Return whether a class of `count` images has enough."""
        return count >= self.train + (self.fewest_test or self.test)


@dataclass(frozen=True)
class PaperRow:
    """A dataset's row in the paper's tables.

    `one_class`: test samples of the class that a dead network, which gives one answer only, gives. If the test
    set is balanced, every class has so many.
    """

    name: str
    one_class: int
    implied_counts: tuple[int, int] | None = None  # of its tables' samples, if not as published: train and test


@dataclass(frozen=True)
class CatalogEntry:
    """A dataset known by name."""

    key: str
    label: str  # in rows of tables
    title: str
    paper: PaperRow | None
    network: str  # the paper's network for it
    classes: int
    train_count: int | None  # None: not published
    test_count: int | None
    source: str
    licence: str
    citation: str
    accepts: str  # the files and folders that the reader finds in the data directory
    megabytes: int  # of its files, roughly
    archives: tuple[Archive, ...] = ()  # all that is needed; without any, the user gets the files
    by_hand: str = ""  # why it is not downloaded, and how to get it
    draw: Draw | None = None
    images_of_class: Mapping[str, int] = field(default_factory=dict)  # as published; empty: unknown
    classes_checksum: str = ""  # of the same, if the list is too long (`published_classes.checksum`)
    note: str = ""
    content: str = ""  # content checksum of the published images; a copy that has it counts as the set itself

    @property
    def paper_name(self) -> str | None:
        """The name of its row in the paper's tables."""
        return self.paper.name if self.paper else None

    @property
    def paper_counts(self) -> tuple[int, int] | None:
        """Its training and test samples in the paper's tables: as these imply, else as published."""
        if self.paper and self.paper.implied_counts:
            return self.paper.implied_counts
        if self.train_count is None or self.test_count is None:
            return None
        return self.train_count, self.test_count
