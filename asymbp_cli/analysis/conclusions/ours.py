"""The paper's conclusions on our numbers: those of its own tables, as it trained them or as the tool does."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from asymbp_cli.analysis.agreement import Conditions, group_tables
from asymbp_cli.analysis.conclusions.checks import Judgement, judge
from asymbp_cli.analysis.conclusions.numbers import collect_our_numbers, load_paper_numbers
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.protocols import protocol_files

_TOO_FEW = ("not enough runs", "not enough datasets")


@dataclass(frozen=True)
class OurJudgements:
    """The verdicts on our numbers of one protocol, and on the paper's of those of its datasets that we have."""

    conditions: Conditions
    name: str  # of the protocol, with seeds if others have the same one
    datasets: tuple[str, ...]
    judgements: tuple[Judgement, ...]
    shared: tuple[str, ...]  # datasets of the paper
    papers: tuple[Judgement, ...]  # empty if we have none of its datasets

    @property
    def has_verdict(self) -> bool:
        """Return whether there are enough runs for any of them."""
        return any(judgement.verdict not in _TOO_FEW for judgement in self.judgements)

    @property
    def papers_name(self) -> str:
        """Return the name of the paper's numbers on its datasets that we have."""
        return f"the paper on {', '.join(self.shared)}"


def is_judgeable(grid: Grid) -> bool:
    """Return whether conclusions can be drawn from a grid: a table of the paper, under a protocol of the tool.

    Recipes, tables and networks of a user's own, and protocols with overrides, are other experiments.
    """
    return grid.is_of_paper and grid.protocol_label in protocol_files()


def judge_protocols(tables: Sequence[FilledGrid], infos: Mapping[str, DecodedDataset]) -> list[OurJudgements]:
    """Return the verdicts on the numbers of each protocol that the paper's tables have; `infos` by fingerprint."""
    groups = group_tables(filled for filled in tables if is_judgeable(filled.grid))
    found = (_judge_group(group, own, infos, groups) for group, own in groups.items())
    return [judged for judged in found if judged.datasets]


def judge_ours(tables: Sequence[FilledGrid], infos: Mapping[str, DecodedDataset]) -> list[OurJudgements]:
    """Return the verdicts of `judge_protocols` on the protocols that have enough runs for any."""
    return [judged for judged in judge_protocols(tables, infos) if judged.has_verdict]


def _judge_group(
    group: Conditions,
    tables: Sequence[FilledGrid],
    infos: Mapping[str, DecodedDataset],
    groups: Iterable[Conditions],
) -> OurJudgements:
    numbers, papers = collect_our_numbers(tables, infos), load_paper_numbers()
    shared = tuple(name for name in papers.datasets if name in numbers.datasets)
    return OurJudgements(
        group,
        group.describe_among(groups),
        numbers.datasets,
        judge(numbers),
        shared,
        judge(papers.restrict_to(*shared)) if shared else (),
    )
