"""What `asymbp plan` is asked for: tables and recipes, whose datasets need not be there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asymbp_cli.api.asked import Asked, Reproduction, ask_for_tables, join_asked, prepare_recipe, prepare_tables
from asymbp_cli.api.load_plugins import load_plugins
from asymbp_cli.api.variation import Rule, load_recipes
from asymbp_cli.cli.asked_options import choose_seeds, find_recipes
from asymbp_cli.cli.options import warn
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import UsageError


@dataclass(frozen=True)
class Wanted:
    """The options that say what is planned, as click hands them over."""

    tables: Sequence[str]
    named: Sequence[str]  # recipes without an option
    recipes: Sequence[str]
    everything: bool  # every table on every dataset
    names: Sequence[str]  # of datasets
    network: str | None
    protocol: str | None
    rule: Rule | None
    seed: int | None
    seeds: int | None
    overrides: tuple[str, ...]
    plugins: Sequence[Path]
    data_dir: Path | None
    cache_dir: Path | None

    def prepare(self) -> Asked:
        """Return the grids with what is known of their datasets; raises UsageError if options contradict."""
        recipes = find_recipes(self.named, self.recipes)
        self._check(recipes)
        load_plugins(self.plugins)
        source = DataSource(self.data_dir, self.cache_dir, decode=False, required=False)
        seeds = choose_seeds(self.seed, self.seeds)
        asked = self._read_tables(seeds or range(1))
        loaded = load_recipes(recipes, self.rule, seeds, self.overrides)
        found = join_asked([prepare_tables(asked, source, warn), *(prepare_recipe(one, source) for one in loaded)])
        if not found.grids:
            raise UsageError("Table 1 lists networks and trains nothing. Plan --table 2, or --all")
        return found

    def _check(self, recipes: Sequence[Path]) -> None:
        if not (self.tables or recipes or self.everything):
            raise UsageError("nothing to plan. Name a RECIPE, --table TABLE, or --all (the whole paper)")
        if self.tables and self.everything:
            raise UsageError("--all is every table. Leave out --table or --all")
        if not (self.tables or self.everything) and (self.names or self.network or self.protocol):
            raise UsageError(
                "--dataset, --network and --protocol are of tables. Write them into the recipe, or --set KEY=VALUE"
            )

    def _read_tables(self, seeds: Sequence[int]) -> list[Reproduction]:
        protocol = self.protocol or ("paper" if self.everything else None)
        names = self.names or (("all",) if self.everything else ())
        tables = ("all",) if self.everything else self.tables
        return ask_for_tables(tables, names, self.network, protocol, self.rule, seeds, self.overrides)
