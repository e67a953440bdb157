"""`asymbp conclusions`."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.waiting import say
from asymbp_cli.errors import UsageError
from asymbp_cli.text import printable_path

if TYPE_CHECKING:
    from asymbp_cli.analysis.conclusions import Judgement
    from asymbp_cli.analysis.conclusions.ours import OurJudgements


@click.command("conclusions")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list, with the evidence.")
@options.results
def command(as_json: bool, results_directory: Path) -> None:
    """Say which of the paper's conclusions hold on the results, and why.

    They are judged on all runs of the paper's tables, protocol by protocol, and on the paper's own numbers.
    Recipes and tables of your own, and protocols with overrides, are other experiments, and do not count.

    \b
    Example:
      asymbp conclusions
      asymbp conclusions --json --results results
    """
    from asymbp_cli.analysis.conclusions import judge, load_paper_numbers
    from asymbp_cli.analysis.conclusions.ours import is_judgeable, judge_protocols
    from asymbp_cli.analysis.tables import fill_all
    from asymbp_cli.results.store import Store

    with Store.open(results_directory, create=False, on_wait=say) as store:
        tables = fill_all(store, [grid for grid in store.grids() if is_judgeable(grid)])
        ours = judge_protocols(tables, store.datasets())
    if not ours:
        raise UsageError(
            f"{printable_path(results_directory)}/ has no complete cell of a table of the paper, under a protocol "
            "of the tool. Run asymbp reproduce --table 2 first, or name another directory with --results"
        )
    papers = judge(load_paper_numbers())
    if as_json:
        click.echo(json.dumps(list(_record(papers, ours))))
        return
    _print(papers, ours)


def _record(papers: "Sequence[Judgement]", ours: "Sequence[OurJudgements]") -> Iterator[dict[str, Any]]:
    """Yield each verdict: on the paper's numbers, on those of the datasets that we have, and on ours."""
    for i, judgement in enumerate(papers):
        yield {"numbers_of": "paper", "protocol": None, "seeds": None} | asdict(judgement)
        for one in ours:
            place = {"protocol": one.conditions.protocol, "seeds": one.conditions.seeds}
            if one.papers:
                yield {"numbers_of": "paper on these datasets"} | place | asdict(one.papers[i])
            yield {"numbers_of": "ours"} | place | asdict(one.judgements[i])


def _print(papers: "Sequence[Judgement]", ours: "Sequence[OurJudgements]") -> None:
    from asymbp_cli.cli import console
    from asymbp_cli.cli.study_summary import sum_up

    out = console.make_console(stderr=False)
    console.print_text(out, "The paper's conclusions, on its own numbers and on ours", "bold")
    for one in ours:
        console.print_text(out, sum_up(one))
    for i, judgement in enumerate(papers):
        out.print()
        console.print_text(out, f"{i + 1}. {judgement.claim}", "bold")
        for source, found in _list_sources(i, papers, ours):
            console.print_text(out, f"{source}: {_describe(found)}", indent="   ")
    out.print()
    console.print_text(out, "The evidence is in `asymbp conclusions --json` and in `asymbp report`.", "dim")


def _list_sources(
    i: int, papers: "Sequence[Judgement]", ours: "Sequence[OurJudgements]"
) -> "Iterator[tuple[str, Judgement]]":
    """Yield whose numbers were judged, and the verdict on a conclusion; of the paper's on some datasets once."""
    yield "the paper", papers[i]
    told = set()
    for one in ours:
        if one.papers and one.shared not in told:
            told.add(one.shared)
            yield one.papers_name, one.papers[i]
        yield f"ours ({one.name}) on {', '.join(one.datasets)}", one.judgements[i]


def _describe(judgement: "Judgement") -> str:
    from asymbp_cli.report.listings import format_verdict

    opening = f"Open, {judgement.verdict}: "
    if judgement.reason.startswith(opening):
        return f"open, {judgement.verdict}: {judgement.reason.removeprefix(opening)}"
    return f"{format_verdict(judgement)}. {judgement.reason}"
