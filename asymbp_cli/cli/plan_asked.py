"""What `asymbp plan` is asked for: tables and recipes, whose datasets need not be there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from asymbp_cli.api.asked import Asked, Reproduction, prepare_recipe
from asymbp_cli.api.load_plugins import load_plugins
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.study import DataSource


@dataclass(frozen=True)
class Wanted:
    """The options that say what is planned, as click hands them over."""

    tables: Sequence[str]
    recipes: Sequence[Path]
    everything: bool  # every table on every dataset
    names: Sequence[str]  # of datasets
    protocol: str | None
    seeds: int | None
    overrides: tuple[str, ...]
    plugins: Sequence[Path]
    data_dir: Path | None
    cache_dir: Path | None

    def prepare(self) -> Asked:
        """Return the grids with what is known of their datasets; raises UsageError if options contradict."""
        self._check()
        load_plugins(self.plugins)
        found = list(self._find(DataSource(self.data_dir, self.cache_dir, decode=False, required=False)))
        grids = [grid for asked in found for grid in asked.grids]
        if not grids:
            raise UsageError("Table 1 lists networks and trains nothing. Plan --table 2, or --all")
        distinct = [grid for number, grid in enumerate(grids) if grid not in grids[:number]]
        return Asked(tuple(distinct), tuple(info for asked in found for info in asked.infos))

    def _check(self) -> None:
        if not (self.tables or self.recipes or self.everything):
            raise UsageError("nothing to plan. Name --table N, --recipe FILE, or --all (the whole paper)")
        if self.tables and self.everything:
            raise UsageError("--all is every table. Leave out --table or --all")
        if not (self.tables or self.everything) and (self.names or self.protocol or self.seeds):
            raise UsageError(
                "--dataset, --protocol and --seeds are of tables. Write them into the recipe, or --set KEY=VALUE"
            )

    def _find(self, source: DataSource) -> Iterator[Asked]:
        protocol = self.protocol or ("paper" if self.everything else None)
        names = self.names or (("all",) if self.everything else ())
        for table in ("all",) if self.everything else self.tables:
            asked = Reproduction.read(table, names, protocol, None, range(self.seeds or 1), self.overrides)
            if asked.error_tables:
                yield asked.prepare(source, lambda message: click.echo(message, err=True))
        for recipe in self.recipes:
            yield prepare_recipe(load_recipe(recipe, self.overrides), source)
