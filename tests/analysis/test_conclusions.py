"""The seven conclusions: what they come to on the paper's own numbers, and what overturns each."""

import subprocess
import sys

import pytest
from judged_numbers import KEYS, PAPER, TABLE_5_SETS, judged

from asymbp_cli.analysis.conclusions import (
    judge,
)
from asymbp_cli.datasets.catalog import PAPER_ROWS
from asymbp_cli.specs.methods import PAPER_METHODS


def test_the_papers_numbers() -> None:
    assert PAPER.datasets == tuple(PAPER_ROWS)
    assert {method for _, method in PAPER.errors} == set(PAPER_METHODS)
    assert len(PAPER.errors) == 6 * 35 + 9 * 31  # paper.md counts uSF+BM twice: 36 and 32
    assert set(PAPER.chance) == set(PAPER.train_counts) == set(PAPER_ROWS)
    assert PAPER.chance["MNIST"] == pytest.approx(90)
    assert PAPER.chance["Cal101"] == pytest.approx(99.0196, abs=1e-4)


def test_dead_networks_of_the_paper_are_plain_usf_on_all_but_timit() -> None:
    assert PAPER.one_class == {(at, "uSF") for at in PAPER_ROWS if at != "TIMIT80"}


#: verdict, grade and count on the paper's own numbers, and the beginning of the reason
VERDICTS = {
    "magnitudes-of-feedback": (
        "supported",
        "clear by count",
        "14 of 15 datasets, 10 required (with 9: yes, with 11: yes); 9 within two standard errors of 3 points",
        "Every part holds; least clearly: uSF+BN+BM, brSF+BN+BM, frSF+BN+BM are alike, on 14 of 15",
    ),
    "magnitudes-of-updates": (
        "no consistent direction",
        "open",
        "3 of 6 datasets, 4 required (with 3: yes, with 5: no); 2 within two standard errors of 3 points",
        "Open, no consistent direction: BM, BM2, BM3 are alike, on 3 of 6",
    ),
    "normalization-needed": (
        "supported",
        "on the threshold",
        "10 of 15 datasets, 10 required (with 9: yes, with 11: no); 4 within two standard errors of 3 points",
        "Every part holds; least clearly: NuSF is worse than SGD by 3 points or more, on 10 of 15",
    ),
    "signs-matter": (
        "supported",
        "clear by count",
        "11 of 15 datasets, 10 required (with 9: yes, with 11: yes); 7 within two standard errors of 3 points",
        "Every part holds; least clearly: frSF errs less at 0 and 25 % opposite signs",
    ),
    "random-feedback-needs-bn": (
        "supported",
        "clear by count",
        "12 of 15 datasets, 10 required (with 9: yes, with 11: yes)",
        "Every part holds; least clearly: RndF+BN is better than RndF by 3 points or more, on 12 of 15",
    ),
    "frozen-last-layer": (
        "no consistent direction",
        "open",
        "8 of 15 datasets, 10 required (with 9: no, with 11: no); 10 within two standard errors of 3 points",
        "Open, no consistent direction: SGD Top, RndF Top, RndF+BN+BM Top, uSF+BN+BM Top are alike, on 8 of 15",
    ),
    "small-training-sets": (
        "supported",
        "on the threshold",
        "15 datasets, p < 0.05 required (with 0.01: no, with 0.1: yes)",
        "Every part holds; least clearly: the smaller the training set, the more BN+BM gains on BN, at equal",
    ),
}


def test_the_verdicts_on_the_papers_own_numbers() -> None:
    found = judge(PAPER)
    assert [judgement.key for judgement in found] == KEYS == list(VERDICTS)
    for judgement in found:
        verdict, grade, count, reason = VERDICTS[judgement.key]
        assert (judgement.verdict, judgement.grade, judgement.count) == (verdict, grade, count)
        assert judgement.reason.startswith(reason)
        assert judgement.datasets == PAPER.datasets


def test_the_counts_that_decide_are_those_of_the_csv_files() -> None:
    """Counted from the tables as printed, without the code of the parts."""
    nusf = [(at, PAPER.errors[at, "NuSF"], PAPER.errors[at, "SGD"]) for at in PAPER.datasets]
    assert sum(round(ours - sgd, 2) >= 3 for _, ours, sgd in nusf) == 10
    bm = [[PAPER.errors[at, name] for name in ("BM", "BM2", "BM3")] for at in TABLE_5_SETS]
    assert sum(round(max(row) - min(row), 2) < 3 for row in bm) == 3
    tops = ("SGD Top", "RndF Top", "RndF+BN+BM Top", "uSF+BN+BM Top")
    top = [[PAPER.errors[at, name] for name in tops] for at in PAPER.datasets]
    assert sum(round(max(row) - min(row), 2) < 3 for row in top) == 8


@pytest.mark.parametrize(
    ("key", "evidence"),
    [
        (
            "magnitudes-of-feedback",
            "uSF+BN+BM, brSF+BN+BM, frSF+BN+BM are alike: yes, clear by count, on 14 of 15 datasets (not "
            "Flowers17); 10 required (with 9: yes, with 11: yes); 9 within two standard errors of 3 points; no "
            "method is worse than another by 3 points or more on more than 1, medians of the pairs up to 0.21 "
            "points apart (smallest of 3 uncorrected Wilcoxon p = 0.31); errors too small to tell on MNIST",
        ),
        (
            "magnitudes-of-feedback",
            "uSF+BN+BM is like SGD or better: yes, clear by count, on 15 of 15 datasets; 10 required (with 9: "
            "yes, with 11: yes); 2 within two standard errors of 3 points; median -5.29 points, worse by 3 or "
            "more on 0, better on 10 of 15 (uncorrected Wilcoxon p = 0.0012); errors too small to tell on MNIST",
        ),
        (
            "magnitudes-of-updates",
            "BM, BM2, BM3 are alike: no consistent direction, on 3 of 6 datasets (not CIFAR, CIFAR100, Cal101);"
            " 4 required (with 3: yes, with 5: no); 2 within two standard errors of 3 points; no method is "
            "worse than another by 3 points or more on more than 2, medians of the pairs up to 0.60 points "
            "apart (smallest of 3 uncorrected Wilcoxon p = 0.69); errors too small to tell on MNIST",
        ),
        (
            "magnitudes-of-updates",
            "BM is like SGD or better: yes, clear by count, on 14 of 15 datasets (not CIFAR100); 10 required "
            "(with 9: yes, with 11: yes); 3 within two standard errors of 3 points; median -2.05 points, worse "
            "by 3 or more on 1, better on 7 of 15 (uncorrected Wilcoxon p = 0.048); errors too small to tell on"
            " MNIST",
        ),
        (
            "normalization-needed",
            "uSF answers every sample with one class: yes, clear by count, on 14 of 15 datasets (not TIMIT80); "
            "10 required (with 9: yes, with 11: yes)",
        ),
        (
            "normalization-needed",
            "NuSF answers with more than one class: yes, clear by count, on 15 of 15 datasets; 10 required "
            "(with 9: yes, with 11: yes)",
        ),
        (
            "normalization-needed",
            "NuSF is worse than SGD by 3 points or more: yes, on the threshold, on 10 of 15 datasets (not "
            "MNIST, Cal101, Cal256-101, Flowers102, Scene67); 10 required (with 9: yes, with 11: no); 4 within "
            "two standard errors of 3 points; median +6.24 points, worse by 3 or more on 10, better on 1 of 15 "
            "(uncorrected Wilcoxon p = 0.0034); errors too small to tell on MNIST",
        ),
        (
            "signs-matter",
            "brSF errs less at 0 and 25 % opposite signs than at 50 to 100 %, by 3 points or more: yes, clear "
            "by count, on 15 of 15 datasets; 10 required (with 9: yes, with 11: yes); the gap is 6.53 to 63.70 "
            "points (uncorrected Wilcoxon p < 0.001)",
        ),
        (
            "signs-matter",
            "frSF errs less at 0 and 25 % opposite signs than at 50 to 100 %, by 3 points or more: yes, clear "
            "by count, on 11 of 15 datasets (not MNIST, Cal256-101, Flowers102, TIMIT80); 10 required (with 9: "
            "yes, with 11: yes); 7 within two standard errors of 3 points; the gap is -0.23 to 17.16 points "
            "(uncorrected Wilcoxon p < 0.001); errors too small to tell on MNIST",
        ),
        (
            "signs-matter",
            "remark: brSF errs more at every step to more opposite signs: no, clear by count, on 0 of 15 "
            "datasets; 10 required (with 9: no, with 11: no); the error rises from 0 to 25 % on 14, 25 to 50 % "
            "on 15, 50 to 75 % on 14, 75 to 100 % on 0 of 15",
        ),
        (
            "random-feedback-needs-bn",
            "RndF+BN is better than RndF by 3 points or more: yes, clear by count, on 12 of 15 datasets (not "
            "MNIST, SVHN, TIMIT80); 10 required (with 9: yes, with 11: yes); median -11.09 points, worse by 3 "
            "or more on 0, better on 12 of 15 (uncorrected Wilcoxon p < 0.001); errors too small to tell on "
            "MNIST",
        ),
        (
            "random-feedback-needs-bn",
            "remark: RndF hardly learns: it goes less than 25% of the way from guessing to SGD: no, clear by "
            "count, on 5 of 15 datasets (only CIFAR100, PubFig83-ID, SUFR-W-ID, LFW-ID, Scene67); 10 required "
            "(with 9: no, with 11: no); 2.76 to 88.19 points below a guess, over 20 on 7 of 15",
        ),
        (
            "random-feedback-needs-bn",
            "remark: RndF+BM hardly learns: it goes less than 25% of the way from guessing to SGD: yes, clear "
            "by count, on 11 of 15 datasets (not MNIST, CIFAR, SVHN, TIMIT80); 10 required (with 9: yes, with "
            "11: yes); 0.60 to 88.11 points below a guess, over 20 on 4 of 15",
        ),
        (
            "frozen-last-layer",
            "RndF+BN+BM Bottom hardly learns: it goes less than 25% of the way from guessing to SGD Bottom: "
            "yes, clear by count, on 15 of 15 datasets; 10 required (with 9: yes, with 11: yes); 0.31 to 11.10 "
            "points below a guess, over 20 on 0 of 15",
        ),
        (
            "frozen-last-layer",
            "SGD Top, RndF Top, RndF+BN+BM Top, uSF+BN+BM Top are alike: no consistent direction, on 8 of 15 "
            "datasets (not CIFAR100, SVHN, STL10, Cal101, Flowers17, LFW-ID, TIMIT80); 10 required (with 9: no,"
            " with 11: no); 10 within two standard errors of 3 points; no method is worse than another by 3 "
            "points or more on more than 3, medians of the pairs up to 0.53 points apart (smallest of 6 "
            "uncorrected Wilcoxon p = 0.042)",
        ),
        (
            "small-training-sets",
            "the smaller the training set, the more BN+BM gains on BN, at equal difficulty: yes, on the "
            "threshold, on 15 datasets; p < 0.05 required (with 0.01: no, with 0.1: yes); Spearman's rho of "
            "gain and training-set size is -0.72 (uncorrected one-sided p = 0.0012), with difficulty (SGD's "
            "error) held constant -0.56 (uncorrected one-sided p = 0.019); that of size and difficulty is -0.64",
        ),
        (
            "small-training-sets",
            "remark: the smaller the training set, the more BN+BM gains on SGD, at equal difficulty: no, clear "
            "by p, on 15 datasets; p < 0.05 required (with 0.01: no, with 0.1: no); Spearman's rho of gain and "
            "training-set size is -0.44 (uncorrected one-sided p = 0.052), with difficulty (SGD's error) held "
            "constant -0.11 (uncorrected one-sided p = 0.36); that of size and difficulty is -0.64",
        ),
        (
            "normalization-needed",
            "uSF+BM is less than 3 points behind SGD: yes, clear by count, on 12 of 15 datasets (not CIFAR, "
            "CIFAR100, iCub); 10 required (with 9: yes, with 11: yes); 8 within two standard errors of 3 "
            "points; though uSF+BM errs more on 11 of 15 datasets, by 1.50 points in the median (uncorrected "
            "Wilcoxon p = 0.01); worse by 3 or more on 3, better on 0 of 15; errors too small to tell on MNIST",
        ),
    ],
)
def test_evidence_in_the_papers_numbers(key: str, evidence: str) -> None:
    assert evidence in judged(key).evidence


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("magnitudes-of-updates", "BM, BM2, BM3 are alike, on 3 of 6 datasets"),
        ("normalization-needed", "least clearly: NuSF is worse than SGD by 3 points or more, on 10 of 15"),
        ("signs-matter", "Not borne out, but no part of the verdict: brSF errs more at every step"),
        ("random-feedback-needs-bn", "Not borne out, but no part of the verdict: RndF hardly learns"),
        ("small-training-sets", "the smaller the training set, the more BN+BM gains on SGD, at equal difficulty."),
    ],
)
def test_the_reason_says_where_words_are_rounder_than_numbers(key: str, words: str) -> None:
    assert words in judged(key).reason


def test_importing_is_quick() -> None:
    heavy = ("scipy", "torch", "click", "rich")
    code = f"import sys, asymbp_cli.analysis.conclusions; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
