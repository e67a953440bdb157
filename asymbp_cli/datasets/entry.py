"""What the catalog says of a dataset. No torch, no numpy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A file to fetch: `name` under the data directory, mirrors in order, checksum and bytes as published.

    Without a checksum its reader checks what it holds; without a size the server's word is taken for progress,
    and the checksum decides.
    """

    name: str
    urls: tuple[str, ...]
    checksum: str = ""  # MD5, SHA-1 or SHA-256, told apart by their length
    size: int | None = None
    unpacked_md5: str = ""  # of the file in a .gz that may lie unpacked


@dataclass(frozen=True)
class Draw:
    """A random choice of classes and images (section 5); which ones the authors drew is not published."""

    classes: int  # to draw
    train: int  # images per class
    test: int
    of: int  # classes in the dataset, all others than these being an error
    images: int | None  # in these classes, where the number is published
    fewest_test: int | None = None  # a class short of images gets the rest, at least so many, to test

    def eligible(self, count: int) -> bool:
        """Tell whether a class of `count` images has enough."""
        return count >= self.train + (self.fewest_test or self.test)


@dataclass(frozen=True)
class CatalogEntry:
    """A dataset known by name."""

    key: str
    label: str  # in rows of tables
    title: str
    paper_name: str | None  # its row in the paper's tables
    network: str  # the paper's network for it
    classes: int
    train_count: int | None  # None: not published
    test_count: int | None
    source: str
    licence: str
    citation: str
    accepts: str  # what may lie in the data directory
    megabytes: int  # of its files, roughly
    archives: tuple[Archive, ...] = ()  # all that is needed; without any, the user gets it
    by_hand: str = ""  # why it is not fetched, and how to get it
    draw: Draw | None = None
    note: str = ""
