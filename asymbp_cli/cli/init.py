"""`asymbp init`."""

import os
import shlex
from pathlib import Path
from typing import Any

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.names import complete
from asymbp_cli.errors import UsageError
from asymbp_cli.files.paths import exists
from asymbp_cli.text import printable_path


class _RecipeFile(options.UserPath):
    """The file to write. Who names a folder of images wants a recipe for these."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; raises click.BadParameter as any path to write, and UsageError if a folder is there."""
        if os.path.isdir(value):
            folder = printable_path(value)
            raise UsageError(
                f"{folder} is a folder, and FILE is the recipe to write. If it holds images: asymbp init my.yaml "
                f"--from {shlex.quote(folder)}"
            )
        return super().convert(value, param, ctx)


@click.command("init")
@click.argument("file", metavar="FILE", type=_RecipeFile(dir_okay=False))
@click.option(
    "--from",
    "source",
    metavar="NAME",
    shell_complete=complete("sources"),
    help="The recipe to start from (asymbp ls recipes), a table, whose columns become methods (table2), or a "
    "protocol, network or dataset, which two methods use; a dataset may also be a folder or archive of images. "
    "Default: two methods on the digits, half a minute.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(file: Path, source: str | None, force: bool) -> None:
    """Write a recipe with comments: what each key means, and which other keys there are.

    FILE may be -, for standard output.

    \b
    Example:
      asymbp init my.yaml
      asymbp init my.yaml --from compare-schemes
      asymbp init - --from table2
      asymbp init - --from matconvnet
      asymbp init my.yaml --from ./photos
    """
    from asymbp_cli.cli.write import is_replaceable, write_text
    from asymbp_cli.recipe.resources import names_a_file
    from asymbp_cli.recipe.starter import read_source, write_starter

    is_output = str(file) == "-"
    is_kept = not is_output and is_replaceable(file)
    if is_kept and exists(file) and not force:
        raise UsageError(f"{printable_path(file)} is there already. Choose another name, or add --force")
    written = str(file) if is_kept else "my.yaml"
    name = shlex.quote(printable_path(written if names_a_file(written) else f"./{written}"))
    text = write_starter(read_source(source), name)
    write_text(text, None if is_output else file)
    if is_kept:
        click.echo(f"train it: asymbp train {name}", err=True)
