"""Recipes by name: those that come with the tool (`recipes/examples/*.yaml`), and the files of users."""

import shlex
from pathlib import Path

from asymbp_cli.datasets.catalog import is_images
from asymbp_cli.errors import UsageError
from asymbp_cli.files.paths import exists, expand_home
from asymbp_cli.recipe.resources import is_inline, named_files, names_a_file
from asymbp_cli.recipe.table import is_table
from asymbp_cli.text import nearest, printable_path


def recipe_files() -> dict[str, Path]:
    """Return the files of the recipes that come with the tool, by name."""
    return named_files("examples")


def find_recipe(written: str) -> Path:
    """Return the file of a recipe that comes with the tool, or of the user's own; or the recipe, written in place.

    The names of the tool go first: a file `grid` is `./grid`. Raises UsageError with the nearest name.
    """
    known = recipe_files()
    if is_inline(written):
        return Path(written)
    if written.lower() in known:
        return known[written.lower()]
    if names_a_file(written) or exists(expand_home(written)):
        return _find_file(written)
    hint = f" It is a table: asymbp reproduce --table {written}" if is_table(written) else nearest(written, known)
    raise UsageError(f'"{printable_path(written)}" is not a recipe, nor a file.{hint} (asymbp ls recipes)')


def _find_file(written: str) -> Path:
    """Return the file at a path, there or not; raises UsageError if it is a folder or archive."""
    file = expand_home(written)
    if is_images(file):
        raise UsageError(
            f"{printable_path(written)}: is a folder or archive, not a recipe. Name a YAML file in it. Or, "
            f"for images: asymbp init mine.yaml --from {shlex.quote(printable_path(written))}"
        )
    return file
