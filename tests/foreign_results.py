"""Results of others, read and merged as the command does it: what is opened is closed."""

from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from asymbp_cli.results import export
from asymbp_cli.results.contents import Contents, read_contents
from asymbp_cli.results.locked import OnWait
from asymbp_cli.results.merge import Merged, add_sources
from asymbp_cli.results.source import Source
from asymbp_cli.results.store import Store


def decode(content: bytes, path: Path) -> Contents:
    """Return the contents of an exported file."""
    with closing(export.decode(content, path)) as source:
        return read_contents(source.connection)


def merge(sources: Iterable[Source], store: Store, on_wait: OnWait = lambda message: None) -> list[Merged]:
    """Merge sources into a store, and close them."""
    with ExitStack() as stack:
        opened = [stack.enter_context(closing(source)) for source in sources]
        with store.writing(on_wait):
            return add_sources(opened, store)


def merge_files(files: Iterable[Path], store: Store) -> list[Merged]:
    """Merge exported files into a store."""
    return merge([export.decode(file.read_bytes(), file) for file in files], store)
