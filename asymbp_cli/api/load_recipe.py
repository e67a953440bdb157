"""`asymbp.load_recipe`: a recipe to look at or to change before it is trained, from Python."""

from collections.abc import Mapping, Sequence
from typing import Any

from asymbp_cli.api.arguments import AnyPath, read_paths
from asymbp_cli.api.load_plugins import load_plugins
from asymbp_cli.api.wording import speaking_python
from asymbp_cli.recipe import recipe
from asymbp_cli.recipe.recipe import Recipe


def load_recipe(
    path: AnyPath,
    overrides: Sequence[str] = (),
    *,
    changes: Mapping[str, Any] | None = None,
    plugins: AnyPath | Sequence[AnyPath] = (),
) -> Recipe:
    """Return the recipe in `path`, with `overrides` (`protocol.epochs=3`), and `changes` of whole keys.

    Text may also be the name of a recipe that comes with the tool, or the recipe itself: `{dataset: digits,
    method: uSF, protocol: demo}`. `plugins` are files of Python, whose names the recipe may use from then on, in
    `train` too; installed plugins are loaded, too. Raises AsymbpError with all problems of the recipe, or of a
    plugin.
    """
    with speaking_python():
        load_plugins(read_paths(plugins, "plugins"))
        return recipe.load_recipe(path, overrides, changes=changes)
