"""Another results directory, read in order to merge it; nothing in it is changed."""

from contextlib import closing
from pathlib import Path

from asymbp_cli.errors import StoreError
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.results import checksums
from asymbp_cli.results.contents import Contents, read_contents
from asymbp_cli.results.database import check_directory, copy_to_memory, explain_remedy, store_errors
from asymbp_cli.results.validity import Damage, check_contents


def read_directory(directory: Path) -> Contents:
    """Return the contents of `directory`; results of an older version are migrated in memory.

    Raises StoreError if there are none, or they are damaged, newer than this program or out of reach.
    """
    check_directory(directory, create=False)
    path = directory / FILE_NAME
    with store_errors(path), closing(copy_to_memory(path)) as connection:
        checksums.verify(connection)
        contents = read_contents(connection)
    try:
        check_contents(contents)
    except Damage as error:
        raise StoreError(
            f"{path} is damaged ({error}); nothing of it was merged. {explain_remedy(path)}"
        ) from error
    return contents
