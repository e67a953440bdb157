"""The conclusions by our numbers: few datasets, copies of the paper's data, and seeds."""

import csv
from dataclasses import replace

import pytest
import small_study
from judged_numbers import KEYS, PAPER
from sample_tables import filled

from asymbp_cli.analysis.conclusions import (
    Numbers,
    collect_our_numbers,
    judge,
)
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.table import load_table
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.networks import Network


def test_one_dataset_is_enough_by_the_3_point_rule() -> None:
    verdicts = {judgement.key: judgement.verdict for judgement in judge(PAPER.restrict_to("PubFig83-ID"))}
    assert verdicts == {
        "magnitudes-of-feedback": "supported",
        "magnitudes-of-updates": "not enough runs",  # Table 5 does not have it
        "normalization-needed": "supported",
        "signs-matter": "supported",
        "random-feedback-needs-bn": "supported",
        "frozen-last-layer": "supported",
        "small-training-sets": "not enough datasets",
    }
    one = {judgement.key: judgement for judgement in judge(PAPER.restrict_to("PubFig83-ID"))}
    assert one["signs-matter"].grade == "on this dataset"  # one is never clear
    assert one["magnitudes-of-feedback"].grade == "on the threshold"  # 2.34 points, with a standard error of 2.0
    assert one["magnitudes-of-feedback"].datasets == ("PubFig83-ID",)
    assert one["magnitudes-of-feedback"].evidence[:2] == (
        "uSF+BN+BM, brSF+BN+BM, frSF+BN+BM are alike: yes, on the threshold, on PubFig83-ID; at most 2.34 points "
        "apart; within two standard errors of 3 points",
        "uSF+BN+BM is like SGD or better: yes, on PubFig83-ID; 40.67 against 63.25 %",
    )
    assert "complete on 1" in one["small-training-sets"].reason


def test_on_mnist_errors_are_too_small_to_tell() -> None:
    mnist = {judgement.key: judgement for judgement in judge(PAPER.restrict_to("MNIST"))}
    untold = "cannot be told at this size of error"
    assert {key: mnist[key].verdict for key in KEYS} == dict.fromkeys(KEYS, untold) | {
        "small-training-sets": "not enough datasets",
    }
    assert mnist["normalization-needed"].grade == "open"
    assert mnist["normalization-needed"].evidence[:3] == (
        "uSF answers every sample with one class: yes, on MNIST",
        "NuSF answers with more than one class: yes, on MNIST",
        f"NuSF is worse than SGD by 3 points or more: {untold}, on MNIST; 0.60 against 0.67 %",
    )
    assert "NuSF is worse than SGD by 3 points or more" in mnist["normalization-needed"].reason
    assert [sentence.split(", by 3 points or more: ")[1] for sentence in mnist["signs-matter"].evidence[:2]] == [
        "yes, on MNIST; the gap is 6.53 points",  # between 7.54 and 1.01
        f"{untold}, on MNIST; the gap is 0.46 points",  # between 1.37 and 0.91, though 75 and 100 % err more
    ]


def test_our_mnist_numbers_get_the_same_verdicts_as_the_papers() -> None:
    """After 5 epochs, as recipes/results/README.md says: six cannot be told."""
    methods = {
        (f"table-{table.key}", column.header): method_name(column.variants[0].method)
        for table in load_table("all")
        for column in table.columns
    }
    lines = (recipes_directory() / "results" / "tables-mnist-quick.csv").read_text().splitlines()
    records = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    errors = {("MNIST", methods[r["table"], r["column"]]): float(r["error_percent"]) for r in records}
    dead = {("MNIST", methods[r["table"], r["column"]]) for r in records if r["collapsed"] == "True"}
    ours = replace(PAPER.restrict_to("MNIST"), errors=errors, one_class=frozenset(dead))
    verdicts = [judgement.verdict for judgement in judge(ours)]
    assert verdicts == [judgement.verdict for judgement in judge(PAPER.restrict_to("MNIST"))]
    assert verdicts.count("cannot be told at this size of error") == 6


def with_row(table: FilledGrid, **changes: object) -> FilledGrid:
    (row,) = table.grid.rows
    rows = (row.model_copy(update=changes),)
    return replace(table, grid=table.grid.model_copy(update={"rows": rows}))


def test_a_dataset_under_two_networks_is_two_datasets() -> None:
    network = NETWORKS["timit"].resolve(10)
    other = with_row(filled(50.0, None, None, None, 60.0), network=network, paper_name=None)
    found = collect_our_numbers([filled(1.0, 2.0, 3.0, 4.0, 5.0), other], {})
    assert found.errors["MNIST", "SGD"] == 1.0
    assert found.errors["MNIST (network timit)", "SGD"] == 50.0
    assert ("MNIST (network timit)", "BN") not in found.errors


def test_a_network_of_a_users_own_does_not_count() -> None:
    own = Network(input=(28, 28, 1), layers=("FC 7", "FC classes")).resolve(10)
    other = with_row(filled(50.0, None, None, None, 60.0), network=own, paper_name=None)
    found = collect_our_numbers([filled(1.0, 2.0, 3.0, 4.0, 5.0), other], {})
    assert found == collect_our_numbers([filled(1.0, 2.0, 3.0, 4.0, 5.0)], {})
    assert collect_our_numbers([other], {}).datasets == ()


def test_the_papers_own_data_has_the_papers_name_and_counts_once() -> None:
    """A copy whose samples are in another order has another fingerprint."""
    own = with_row(filled(1.0, 2.0, 3.0, None, 5.0), label="CIFAR-10", paper_name="CIFAR")
    copy = with_row(filled(11.0, 12.0, None, 14.0, None), label="CIFAR-10", paper_name="CIFAR", dataset="e")
    lossy = with_row(copy, label="CIFAR", exact=False, dataset="d")
    for tables in ([own, copy, lossy], [lossy, copy, own]):
        found = collect_our_numbers(tables, {})
        by_name = {name: {m: e for (at, m), e in found.errors.items() if at == name} for name in found.datasets}
        assert by_name == {
            "CIFAR": {"SGD": 1.0, "BN": 2.0, "uSF": 3.0, "uSF+BN+BM": 5.0},
            "CIFAR (data d)": {"SGD": 11.0, "BN": 12.0, "NuSF": 14.0},
        }


def test_ours_are_the_finished_cells_and_collapsed_ones_are_dead() -> None:
    table = filled(1.0, None, 90.0, 4.0, 5.0)
    found = collect_our_numbers([table], {"f": small_study.INFO})
    assert found.errors == {
        ("MNIST", "SGD"): 1.0,
        ("MNIST", "uSF"): 90.0,
        ("MNIST", "NuSF"): 4.0,
        ("MNIST", "uSF+BN+BM"): 5.0,
    }
    assert found.one_class == frozenset()
    cells = tuple(replace(c, diverged=c.wanted) if i == 2 else c for i, c in enumerate(table.cells[0]))
    assert (
        collect_our_numbers([replace(table, cells=(cells,))], {}).one_class == frozenset()
    )  # it had a good epoch before
    one, *_ = table.cells[0][3].picks
    seeds = tuple(replace(one, seed=seed, collapsed=seed == 2) for seed in range(3))  # the worst of three
    cells = tuple(replace(c, picks=seeds) if i == 3 else c for i, c in enumerate(table.cells[0]))
    assert collect_our_numbers([replace(table, cells=(cells,))], {}).one_class == frozenset()
    assert not cells[3].collapsed
    picks = tuple(replace(pick, collapsed=True) for pick in table.cells[0][3].picks)
    cells = tuple(replace(c, picks=picks) if i == 3 else c for i, c in enumerate(table.cells[0]))
    assert collect_our_numbers([replace(table, cells=(cells,))], {}).one_class == {("MNIST", "NuSF")}
    assert (found.chance, found.train_counts) == ({"MNIST": 90.0}, {"MNIST": 1437})


def test_the_spread_of_seeds_makes_a_difference_unsure() -> None:
    """As with colours: paired by seed, besides what the size of the test set gives."""
    errors = {("a", "SGD"): 10.0, ("a", "BM"): 16.0}
    seeds = {("a", "SGD"): {0: 8.0, 1: 10.0, 2: 12.0}, ("a", "BM"): {0: 20.0, 1: 16.0, 2: 12.0}}
    one = Numbers(errors, frozenset(), {}, test_counts={"a": 10_000})
    binomial = one.standard_error("a", ("BM", "SGD"))
    assert binomial == pytest.approx((16 * 84 / 10_000 + 10 * 90 / 10_000) ** 0.5)
    spread = replace(one, seeds=seeds).standard_error("a", ("BM", "SGD"))
    assert spread == pytest.approx((binomial**2 + 36 / 3) ** 0.5)  # differences 12, 6 and 0: a deviation of 6
    table = filled(1.0, 2.0, 3.0, 4.0, 5.0)
    assert collect_our_numbers([table], {}).seeds["MNIST", "SGD"] == {0: 1.0}
