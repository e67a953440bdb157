"""What a study is asked for: a recipe, or tables on datasets, with the datasets decoded."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from asymbp_cli import study
from asymbp_cli.api.variation import Rule, follow_rule
from asymbp_cli.datasets.catalog import DatasetRef, parse_dataset
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.locate import data_directory
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import MissingDataError, UsageError
from asymbp_cli.recipe.build import check_distinct, make_recipe_grid, make_table_grid
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.networks import read_any_network
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import Recipe
from asymbp_cli.recipe.table import TableSpec, load_table
from asymbp_cli.scheduling.shards import Part, take_part
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.shards import Shard


@dataclass(frozen=True)
class Asked:
    """What a study is asked for: grids of runs, and the datasets in them."""

    grids: tuple[Grid, ...]
    infos: tuple[DecodedDataset, ...]

    def take(self, shard: Shard | None) -> Part | None:
        """Return the part of the study that is a shard; None: all of it."""
        train_counts = {info.fingerprint: info.train_count for info in self.infos}
        return take_part(self.grids, train_counts, shard) if shard else None


def join_asked(found: Iterable[Asked]) -> Asked:
    """Return one study of several: a table that is in two of them is in it once."""
    parts = list(found)
    grids = [grid for asked in parts for grid in asked.grids]
    distinct = [grid for number, grid in enumerate(grids) if grid not in grids[:number]]
    return Asked(tuple(distinct), tuple(info for asked in parts for info in asked.infos))


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
        network: str | Mapping[str, Any] | None,
        protocol: str | Mapping[str, Any] | None,
        rule: Rule | None,
        seeds: Sequence[int],
        overrides: tuple[str, ...] = (),
    ) -> "Reproduction":
        """Read the arguments; raises UsageError or RecipeError if they mean nothing."""
        tables = load_table(table)
        if network is not None:
            chosen = read_any_network(network)
            tables = tuple(spec.model_copy(update={"network": chosen}) for spec in tables)
        own = next((spec.protocol for spec in tables), None)  # that of another paper
        names = tuple(dict.fromkeys(names)) or (tables[0].datasets[:1] if own else ()) or ("digits",)
        refs = tuple(parse_dataset(name) for name in names if name != "all")
        written = protocol or own
        training, label = follow_rule(*load_protocol(written or "demo", overrides), rule, overrides)
        return cls(tables, names, refs, training, label, not written, tuple(seeds))

    @property
    def error_tables(self) -> list[TableSpec]:
        """Return the tables that are trained; Table 1 only lists networks."""
        return [spec for spec in self.tables if spec.kind == "errors"]

    def prepare(self, source: DataSource, warn: Callable[[str], None]) -> Asked:
        """Return the grids, with their datasets decoded; `warn` is told what cannot be used.

        Raises UsageError if the protocol is left open for other datasets than digits, or if `all` means none, and
        MissingDataError.
        """
        if self.is_default and self.names != ("digits",):
            raise UsageError(
                f"--protocol must be given for {', '.join(self.names)}. "
                "Choose quick (5 epochs), demo (20, for few images), paper (65), or a file"
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
        if not keys:
            raise UsageError(
                "`all` stands for the datasets that a table names, and this one names none. Write datasets: "
                "[mnist] into it, or name one with --dataset (asymbp ls datasets)"
            )
        installed, missing = study.prepare_installed(list(keys), self.tables[0].network, self.protocol, source)
        for message in filter(None, missing.values()):
            warn(f"left out: {message}")
        check_any_installed([*named, *installed], source)
        check_distinct([info.label for info in (*named, *installed)], "datasets")
        return installed, missing


def check_any_installed(infos: Sequence[DecodedDataset], source: DataSource) -> None:
    """Raise MissingDataError if `infos` is empty: none of the paper's datasets is installed."""
    if not infos:
        raise MissingDataError(
            f"none of the paper's datasets is in {data_directory(source.data_dir)}. Name another directory with "
            "--data-dir, add --download, or use --dataset digits, which needs no file (asymbp data ls)"
        )


def ask_for_tables(
    tables: Sequence[str],
    names: Sequence[str],
    network: str | Mapping[str, Any] | None,
    protocol: str | Mapping[str, Any] | None,
    rule: Rule | None,
    seeds: Sequence[int],
    overrides: tuple[str, ...] = (),
) -> list[Reproduction]:
    """Return the reproduction of each of `tables`; raises as `Reproduction.read`."""
    return [Reproduction.read(table, names, network, protocol, rule, seeds, overrides) for table in tables]


def prepare_tables(asked: Iterable[Reproduction], source: DataSource, warn: Callable[[str], None]) -> Asked:
    """Return one study of the tables that are trained; `warn` is told each thing once. Raises as `prepare`."""
    told: set[str] = set()

    def warn_once(message: str) -> None:
        if message not in told:
            told.add(message)
            warn(message)

    return join_asked(one.prepare(source, warn_once) for one in asked if one.error_tables)


def prepare_recipe(recipe: Recipe, source: DataSource) -> Asked:
    """Return the grid of a recipe, with its datasets decoded: once for networks with inputs of one size."""
    networks: Sequence[Network | None] = recipe.networks or (None,)
    by_size = {network and network.input: network for network in networks}
    prepared = {
        size: study.prepare_datasets(recipe.datasets, network, recipe.protocol, source)
        for size, network in by_size.items()
    }
    infos = [
        prepared[network and network.input][place]
        for place, network in product(range(len(recipe.datasets)), networks)
    ]
    return Asked((make_recipe_grid(recipe, infos),), tuple(infos))
