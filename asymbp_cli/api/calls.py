"""`asymbp.train` and `asymbp.reproduce`: what these commands do, from Python.

Without torch, until something is trained.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asymbp_cli.api.arguments import AnyPath, read_datasets, read_part, read_path, read_seeds, read_tables
from asymbp_cli.api.asked import ask_for_tables, join_asked, prepare_recipe, prepare_tables
from asymbp_cli.api.settings import OnEvent, Settings
from asymbp_cli.api.variation import Rule, agree_on_weights, vary
from asymbp_cli.api.wording import speaking_python, warn, write_call
from asymbp_cli.errors import UsageError
from asymbp_cli.events import OnProgress
from asymbp_cli.executors import ATTEMPTS
from asymbp_cli.recipe.document import make_document
from asymbp_cli.recipe.recipe import Recipe, load_recipe, read_recipe, resolved_yaml
from asymbp_cli.recipe.yamlfile import parse_yaml
from asymbp_cli.report.frames import Results
from asymbp_cli.specs.modules import WhichWeights

AnyRecipe = AnyPath | Mapping[str, Any] | Recipe


def train(
    recipe: AnyRecipe | Sequence[AnyRecipe],
    *,
    protocol: AnyPath | Mapping[str, Any] | None = None,
    rule: Rule | None = None,
    seed: int | None = None,
    seeds: int | Sequence[int] | None = None,
    results: AnyPath = "results",
    device: str | None = None,
    workers: int | None = None,
    executor: AnyPath | Mapping[str, Any] | None = None,
    attempts: int = ATTEMPTS,
    shard: str | None = None,
    data_dir: AnyPath | None = None,
    cache_dir: AnyPath | None = None,
    download: bool = False,
    keep_weights: WhichWeights | None = None,
    plugins: AnyPath | Sequence[AnyPath] = (),
    on_event: OnEvent | None = None,
    on_progress: OnProgress | None = None,
) -> Results:
    """Train a recipe as `asymbp train` does, and return its table; no run in `results` is trained again.

    `recipe` is the path of a file, the name of a recipe that comes with the tool, a mapping with the same keys, a
    `Recipe`, or a list of these, which is one study. `protocol`, `rule` ("paper" or "held-out"), `seeds` (a number
    of them, from `seed` on, or a list) and `keep_weights` ("best" or "last") replace its own. On the CPU `workers`
    processes train at once, by default one per core that has 0.6 GB of memory. `device` may name several GPUs:
    "cuda:0,cuda:1", or "cuda:all". `executor`, a name, the path of a file or a mapping with the same keys, says
    where else to train. A run whose process is killed has so many `attempts` in all. `shard="3/8"` trains the
    third of eight parts of the study, which `asymbp store merge` joins. `plugins` are files of Python; installed
    plugins are loaded, too. `on_event` is told what happens, and `on_progress` how far decoding or a download is.

    Warns of runs that ended before without weights, and of results of another version of a plugin. Raises
    AsymbpError if anything is wrong with the recipe, the data, the device or the results.
    """
    given = dict(locals())
    with speaking_python():
        settings = Settings.read(given)
        chosen, several = read_seeds(seeds, seed), _list_recipes(recipe)
        given["recipe"] = _write_all(several)
        loaded = [vary(_read_recipe(one, protocol), rule, chosen) for one in several]
        if settings.execution.keep_weights is None:
            settings = settings.keep(agree_on_weights(loaded))
        asked = join_asked([prepare_recipe(one, settings.source) for one in loaded])
        return settings.train(asked, write_call(train, given))


def reproduce(
    table: int | AnyPath | Sequence[int | AnyPath] = 2,
    dataset: AnyPath | Sequence[AnyPath] = (),
    *,
    network: AnyPath | Mapping[str, Any] | None = None,
    protocol: AnyPath | Mapping[str, Any] | None = None,
    rule: Rule | None = None,
    seed: int | None = None,
    seeds: int | Sequence[int] | None = None,
    results: AnyPath = "results",
    device: str | None = None,
    workers: int | None = None,
    executor: AnyPath | Mapping[str, Any] | None = None,
    attempts: int = ATTEMPTS,
    shard: str | None = None,
    data_dir: AnyPath | None = None,
    cache_dir: AnyPath | None = None,
    download: bool = False,
    keep_weights: WhichWeights | None = None,
    plugins: AnyPath | Sequence[AnyPath] = (),
    on_event: OnEvent | None = None,
    on_progress: OnProgress | None = None,
) -> Results:
    """Reproduce tables of the paper as `asymbp reproduce` does, and return them.

    `table` is a number, a name of `asymbp ls tables`, `all`, the path of a table file, or a list of these, which
    is one study. `dataset` is a name, a path, `all`, or a list: by default digits, or that of another paper. Other
    datasets need a `protocol`. `network`, a name, the path of a file or a mapping, replaces that of the table, or
    the paper's for each dataset. The other arguments are those of `train`.

    Warns and raises as `train`, and warns of datasets that cannot be used.
    """
    given = dict(locals())
    with speaking_python():
        settings = Settings.read(given)
        names = given["dataset"] = read_datasets(dataset)
        keys, chosen = read_tables(table), read_seeds(seeds, seed) or (0,)
        asked = ask_for_tables(
            keys, names, read_part(network, "network"), read_part(protocol, "protocol"), rule, chosen
        )
        if not any(one.error_tables for one in asked):
            raise UsageError("Table 1 lists networks, and nothing is trained for it: asymbp reproduce --table 1")
        prepared = prepare_tables(asked, settings.source, warn)
        return settings.train(prepared, write_call(reproduce, given))


def _list_recipes(recipe: object) -> list[object]:
    """Return the recipes of a list, or the one that is given; raises UsageError if the list is empty."""
    if isinstance(recipe, str | os.PathLike | Mapping | Recipe) or not isinstance(recipe, Iterable):
        return [recipe]
    recipes = list(recipe)
    if not recipes:
        raise UsageError("recipe is an empty list. Name at least one")
    return recipes


def _write_all(recipes: Sequence[object]) -> object:
    """Return recipes as text can repeat them, with mappings in place of `Recipe`; a single one alone."""
    written = [_write(one) if isinstance(one, Recipe) else one for one in recipes]
    return written if written[1:] else written[0]


def _read_recipe(recipe: object, protocol: object) -> Recipe:
    """Return the recipe, with another protocol if one is given."""
    changes: dict[str, Any] = {} if protocol is None else {"protocol": read_part(protocol, "protocol")}
    if isinstance(recipe, Recipe):
        return read_recipe(make_document(recipe.name, _write(recipe) | changes), recipe.name, Path())
    if isinstance(recipe, Mapping):
        return read_recipe(make_document("recipe", {**recipe, **changes}), "recipe", Path())
    if isinstance(recipe, str):  # a path, or a name
        return load_recipe(recipe, changes=changes)
    return load_recipe(read_path(recipe, "recipe", "a path, a mapping or a Recipe"), changes=changes)


def _write(recipe: Recipe) -> dict[str, Any]:
    """Return the mapping that a recipe is read from."""
    return dict(parse_yaml(resolved_yaml(recipe), recipe.name).data)
