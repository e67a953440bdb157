"""`asymbp.train` and `asymbp.reproduce`: what these commands do, from Python, and what both share.

Without torch, until something is trained.
"""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from asymbp_cli import study
from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.datasets.catalog import DatasetRef, parse_dataset
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import UsageError
from asymbp_cli.events import OnProgress
from asymbp_cli.executors import StudyEvent
from asymbp_cli.files.paths import expand_home
from asymbp_cli.machine import cores, parse_device
from asymbp_cli.recipe.build import check_distinct, make_recipe_grid, make_table_grid
from asymbp_cli.recipe.document import make_document
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import Recipe, load_recipe, read_recipe, resolved_yaml
from asymbp_cli.recipe.table import TableSpec, load_table
from asymbp_cli.recipe.yamlfile import parse_yaml
from asymbp_cli.report.frames import Results, Table
from asymbp_cli.results.store import Store
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.study import DataSource, Execution

AnyPath = str | os.PathLike[str]
Rule = Literal["paper", "held-out"]
#: told what is trained, as it happens (`asymbp_cli/events.py`, `asymbp_cli/executors/__init__.py`)
OnEvent = Callable[[StudyEvent], None]

#: rule -> what it overrides; the paper does not say how much is held out
_RULES: dict[str | None, tuple[str, ...]] = {
    None: (),
    "paper": ("protocol.validation_fraction=0",),
    "held-out": ("protocol.validation_fraction=0.1",),
}


@dataclass(frozen=True)
class Asked:
    """What a study is asked for: grids of runs, and the datasets in them."""

    grids: tuple[Grid, ...]
    infos: tuple[DecodedDataset, ...]


@dataclass(frozen=True)
class Reproduction:
    """Tables of the paper, or of a user's own, on named datasets (`all`: those that are installed)."""

    tables: tuple[TableSpec, ...]
    names: tuple[str, ...]
    refs: tuple[DatasetRef, ...]
    protocol: Protocol
    label: str
    is_default: bool  # neither the table nor anybody else names a protocol
    seeds: tuple[int, ...]

    @classmethod
    def read(
        cls,
        table: str,
        names: Sequence[str],
        protocol: str | Mapping[str, Any] | None,
        rule: Rule | None,
        seeds: Sequence[int],
        overrides: tuple[str, ...] = (),
    ) -> "Reproduction":
        """Return what was asked for; raises UsageError or RecipeError if it means nothing."""
        tables = load_table(table)
        own = next((spec.protocol for spec in tables), None)  # that of another paper
        names = tuple(dict.fromkeys(names)) or (tables[0].datasets[:1] if own else ("digits",))
        refs = tuple(parse_dataset(name) for name in names if name != "all")
        written = protocol or own
        training, label = _load_protocol(written or "demo", rule, overrides)
        return cls(tables, names, refs, training, label, not written, tuple(seeds))

    @property
    def error_tables(self) -> list[TableSpec]:
        """Return the tables that are trained; Table 1 only lists networks."""
        return [spec for spec in self.tables if spec.kind == "errors"]

    def prepare(self, source: DataSource, warn: Callable[[str], None]) -> Asked:
        """Return the grids, with their datasets decoded; `warn` is told what cannot be used.

        Raises UsageError if the protocol is left open for other datasets than digits, or MissingDataError.
        """
        if self.is_default and self.names != ("digits",):
            raise UsageError(
                f"--protocol must be given for {', '.join(self.names)}. "
                "Choose quick (5 epochs), paper (65 epochs), or a file"
            )
        named = study.prepare_datasets(self.refs, self.tables[0].network, self.protocol, source)
        installed, missing = self._prepare_all(named, source, warn) if "all" in self.names else ([], {})
        grids = [
            make_table_grid(
                spec,
                self.protocol,
                self.label,
                [*named, *(info for info in installed if info.key in spec.datasets)],
                missing=[key for key in spec.datasets if key in missing],
                seeds=self.seeds,
            )
            for spec in self.error_tables
        ]
        return Asked(tuple(grids), (*named, *installed))

    def _prepare_all(
        self, named: Sequence[DecodedDataset], source: DataSource, warn: Callable[[str], None]
    ) -> tuple[list[DecodedDataset], Mapping[str, str]]:
        """Return the installed datasets of the tables, which join those that were named, and the missing ones."""
        keys = dict.fromkeys(key for spec in self.error_tables for key in spec.datasets)
        installed, missing = study.prepare_installed(list(keys), self.tables[0].network, self.protocol, source)
        for message in filter(None, missing.values()):
            warn(f"left out: {message}")
        study.check_any_installed([*named, *installed], source)
        check_distinct([info.label for info in (*named, *installed)], "datasets")
        return installed, missing


def _load_protocol(
    written: str | Mapping[str, Any], rule: Rule | None, overrides: tuple[str, ...]
) -> tuple[Protocol, str]:
    """Return the protocol and its label; raises UsageError if an override turns the rule into its opposite."""
    if rule not in _RULES:
        raise UsageError(f'the rule is "paper" or "held-out", not {rule!r}')
    protocol, label = load_protocol(written, (*_RULES[rule], *overrides))
    fraction = protocol.validation_fraction
    if rule is not None and (rule == "held-out") != (fraction > 0):
        raise UsageError(
            f"--rule {rule} contradicts --set protocol.validation_fraction={fraction:g}. Leave one of them out"
        )
    return protocol, label


def prepare_recipe(recipe: Recipe, source: DataSource) -> Asked:
    """Return the grid of a recipe, with its datasets decoded."""
    infos = study.prepare_datasets(recipe.datasets, recipe.network, recipe.protocol, source)
    return Asked((make_recipe_grid(recipe, infos),), tuple(infos))


def train(
    recipe: AnyPath | Mapping[str, Any] | Recipe,
    *,
    protocol: AnyPath | Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    results: AnyPath = "results",
    device: str = "cpu",
    workers: int | None = None,
    data_dir: AnyPath | None = None,
    cache_dir: AnyPath | None = None,
    download: bool = False,
    on_event: OnEvent | None = None,
    on_progress: OnProgress | None = None,
) -> Results:
    """Train a recipe as `asymbp train` does, and return its table; no run in `results` is trained again.

    `recipe` is the path of a file, a mapping with the same keys, or a `Recipe`. `protocol` and `seeds` (a number
    of them, or a list) replace its own. On the CPU `workers` processes train at once, by default one per core.
    `on_event` is told what happens, and `on_progress` how far decoding or a download is.

    Raises AsymbpError if anything is wrong with the recipe, the data, the device or the results.
    """
    loaded = _read_recipe(recipe, protocol, seeds)
    source = _make_source(data_dir, cache_dir, download, on_progress)
    asked = prepare_recipe(loaded, source)
    execution = replace(_make_execution(device, workers), keep_weights=loaded.keep_weights)
    return _run(asked, results, execution, on_event, f"asymbp.train({loaded.name})")


def reproduce(
    table: int | AnyPath = 2,
    dataset: str | Sequence[str] = (),
    *,
    protocol: AnyPath | Mapping[str, Any] | None = None,
    rule: Rule | None = None,
    seeds: int | Sequence[int] = 1,
    results: AnyPath = "results",
    device: str = "cpu",
    workers: int | None = None,
    data_dir: AnyPath | None = None,
    cache_dir: AnyPath | None = None,
    download: bool = False,
    on_event: OnEvent | None = None,
    on_progress: OnProgress | None = None,
) -> Results:
    """Reproduce a table of the paper as `asymbp reproduce` does, and return it.

    `table` is a number, a name of `asymbp ls tables`, `all`, or the path of a table file. `dataset` is a name, a
    path, `all`, or a list: by default digits, or that of another paper. Other datasets need a `protocol`. The
    other arguments are those of `train`.

    Raises AsymbpError if anything is wrong with the table, the data, the device or the results.
    """
    names = [dataset] if isinstance(dataset, str) else list(dataset)
    asked = Reproduction.read(
        os.fspath(table) if isinstance(table, os.PathLike) else str(table),
        names,
        _as_written(protocol),
        rule,
        _list_seeds(seeds),
    )
    if not asked.error_tables:
        raise UsageError("Table 1 lists networks, and nothing is trained for it: asymbp reproduce --table 1")
    source = _make_source(data_dir, cache_dir, download, on_progress)
    prepared = asked.prepare(source, lambda message: warnings.warn(message, stacklevel=4))
    command = f"asymbp.reproduce({table}, {', '.join(names)})"
    return _run(prepared, results, _make_execution(device, workers), on_event, command)


def _read_recipe(
    recipe: AnyPath | Mapping[str, Any] | Recipe,
    protocol: AnyPath | Mapping[str, Any] | None,
    seeds: int | Sequence[int] | None,
) -> Recipe:
    """Return the recipe, with another protocol and other seeds if they are given."""
    changes: dict[str, Any] = {} if protocol is None else {"protocol": _as_written(protocol)}
    if seeds is not None:
        changes["seed"] = _list_seeds(seeds)
    if isinstance(recipe, Recipe):
        content = parse_yaml(resolved_yaml(recipe), recipe.name).data
        return read_recipe(make_document(recipe.name, content | changes), recipe.name, Path())
    if isinstance(recipe, Mapping):
        return read_recipe(make_document("recipe", {**recipe, **changes}), "recipe", Path())
    return load_recipe(expand_home(os.fspath(recipe)), changes=changes)


def _as_written(protocol: AnyPath | Mapping[str, Any] | None) -> str | Mapping[str, Any] | None:
    return os.fspath(protocol) if isinstance(protocol, os.PathLike) else protocol


def _list_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Return the seeds: so many from 0 on, or those of a list."""
    listed = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not listed or len(set(listed)) < len(listed) or min(listed) < 0:
        raise UsageError(f"seeds are a number of them from 1 on, or a list of different ones, not {seeds!r}")
    return listed


def _make_source(
    data_dir: AnyPath | None, cache_dir: AnyPath | None, download: bool, on_progress: OnProgress | None
) -> DataSource:
    data, cache = (None if folder is None else expand_home(os.fspath(folder)) for folder in (data_dir, cache_dir))
    return DataSource(data, cache, download, on_progress)


def _make_execution(device: str, workers: int | None) -> Execution:
    if workers is not None and workers < 1:
        raise UsageError(f"workers are at least 1, not {workers}")
    name = parse_device(device)
    return Execution(name, 1 if name != "cpu" else workers or cores())


def _run(asked: Asked, results: AnyPath, execution: Execution, on_event: OnEvent | None, command: str) -> Results:
    """Train what is missing, and return all tables."""
    study.check_device(execution.device)  # before anything is written
    infos = {info.fingerprint: info for info in asked.infos}
    listen = on_event or (lambda event: None)
    with Store.open(expand_home(os.fspath(results))) as store:
        outcome = study.run(asked.grids, infos, store, execution, on_event=listen, command=command)
        tables = fill_all(store, asked.grids)
    return Results(tuple(map(Table, tables)), outcome.failed)
