"""The skeleton for reproducibility tracks: which runs it counts, and which boxes it ticks."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import small_study
from foreign_results import merge_files
from sample_tables import filled, make_epoch

from asymbp_cli.analysis.conclusions import judge, load_paper_numbers
from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.events import Provenance
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.report.markdown import escape
from asymbp_cli.report.mlrc_checklist import write_checklist
from asymbp_cli.report.renderers import render
from asymbp_cli.report.source import Source
from asymbp_cli.results.store import Store


def test_runs_that_have_ended_are_counted_not_those_that_have_begun(tmp_path: Path) -> None:
    small_study.train(tmp_path, small_study.grid("SGD"))
    grid = small_study.grid("SGD", "uSF")
    with Store.open(tmp_path) as store:
        done, wanted = len(store.finished_ids()), grid.all_runs()
        begun = next(run for run_id, run in wanted.items() if run_id not in store.finished_ids())
        with store.writing():
            store.begin([begun], 0, Provenance("host", "cpu", {}, None, 1))
            store.record(make_epoch(begun.id, 1, 5, train_seen=1437, test_seen=360))
        assert begun.id in store.spent(wanted)
        text = render("mlrc", Source(fill_all(store, [grid]), store)).text
    assert 0 < done < len(wanted)
    assert f"trained {done} of {len(wanted)} runs: " in text


def test_a_report_on_another_paper_has_its_numbers_and_no_claims_of_this_one(tmp_path: Path) -> None:
    campaign = recipes_directory() / "results/campaigns/biotorch2021.jsonl.xz"
    with Store.open(tmp_path) as store:
        merge_files([campaign], store)
        text = render("mlrc", Source(fill_all(store, store.grids()), store)).text
    summary, rest = text.split("## 1 Introduction")
    beside, beyond = rest.split("### 4.1 ")[1].split("### 4.2 ")
    assert re.search(r"- Sanfiz and Akrout 2021 .*: [0-9]+ of [0-9]+ printed numbers agree on MNIST\.", summary)
    assert "| FA: lowest error " in beside
    assert "| FA: lowest error " not in beyond
    for judgement in judge(load_paper_numbers()):
        assert escape(judgement.claim) not in text


@pytest.mark.parametrize(("done", "box"), [(0, "- [ ]"), (1, "- [ ]"), (2, "- [x]")])
def test_variation_is_ticked_once_all_cells_have_several_seeds(done: int, box: str) -> None:
    table = filled(1.0, 2.0, 3.0, 4.0, 5.0)
    (cells,) = table.cells
    picks = tuple(replace(cells[0].picks[0], seed=seed) for seed in (0, 1))
    cells = tuple(replace(cell, picks=picks) for cell in cells)
    last = replace(cells[-1], picks=picks[:done])
    grid = table.grid.model_copy(update={"seeds": (0, 1)})
    text = "\n".join(write_checklist([replace(table, grid=grid, cells=((*cells[:-1], last),))]))
    assert f"{box} central tendency and variation" in text
    assert ("some cells have too few seeds so far" in text) == (done < 2)


def test_tables_of_one_title_are_told_apart_and_only_known_counts_are_said(tmp_path: Path) -> None:
    tables = [filled(1.0, 2.0, 3.0, 4.0, 90.0, label=label) for label in ("quick", "paper")]
    with Store.open(tmp_path) as store:
        text = render("mlrc", Source(tables, store)).text
    for label in ("quick", "paper"):
        for ending in ("", ": differences", ": uncertainty"):
            assert f"\n#### Title ({label}){ending}\n" in text
    (line,) = [line for line in text.splitlines() if line.startswith("- Title, protocol quick, the paper's data:")]
    assert "4 of 4 same colour, MNIST 1.00 rank correlation." in line
