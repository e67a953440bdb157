"""Shards: disjoint, complete, balanced, and the same whatever is known of a store or of the order of runs."""

from functools import cache

import pytest
import small_study
from hypothesis import given, settings
from hypothesis import strategies as st

from asymbp_cli.errors import UsageError
from asymbp_cli.scheduling import shards
from asymbp_cli.scheduling.estimate import flop_left
from asymbp_cli.scheduling.shards import divide, identify_division, take_part
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.runs import Run
from asymbp_cli.specs.shards import Mark, Shard, parse_shard, split_mark

DATASETS = ("a" * 64, "b" * 64)


@cache
def pool() -> tuple[Run, ...]:
    """Return runs of other costs and stacks: datasets, lengths, with and without BN."""
    rows = tuple(small_study.row(fingerprint, fingerprint[0]) for fingerprint in DATASETS)
    grids = [small_study.grid("SGD", "uSF+BN", epochs=epochs, rows=rows) for epochs in (1, 3, 10)]
    return tuple(run for grid in grids for run in grid.all_runs().values())


@settings(max_examples=40, deadline=None)
@given(
    numbers=st.permutations(range(len(pool()))),
    size=st.integers(0, len(pool())),
    samples=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    count=st.integers(1, 50),
)
def test_shards_are_disjoint_complete_and_balanced(
    numbers: list[int], size: int, samples: tuple[int, int], count: int
) -> None:
    runs = {pool()[number].id: pool()[number] for number in numbers[:size]}
    train_counts = dict(zip(DATASETS, samples, strict=True))
    parts = divide(runs, train_counts, count)
    assert len(parts) == count
    assert sorted(run_id for part in parts for run_id in part) == sorted(runs)
    costs = {run_id: flop_left(run, train_counts[run.dataset]) for run_id, run in runs.items()}
    largest = max(sum(costs[run_id] for run_id in part) for part in parts)
    assert largest * count <= sum(costs.values()) + max(costs.values(), default=0) * count
    assert divide(dict(sorted(runs.items())), train_counts, count) == parts
    places = [{runs[run_id].stack_key for run_id in part} for part in parts]
    stacks = {run.stack_key for run in runs.values()}
    assert sum(map(len, places)) - len(stacks) < count  # a cut divides one stack at most


def test_whole_stacks_stay_together_if_they_are_equally_dear() -> None:
    rows = tuple(small_study.row(fingerprint, fingerprint[0]) for fingerprint in DATASETS)
    runs = small_study.grid("SGD", "uSF", rows=rows).all_runs()
    for part in divide(runs, dict.fromkeys(DATASETS, 100), 2):
        assert len({runs[run_id].stack_key for run_id in part}) == 1
        assert len(part) == 4


def test_a_part_is_of_all_grids_and_its_study_has_a_name_of_its_own() -> None:
    grids = [small_study.grid("SGD"), small_study.grid("BM", key="table-3")]
    train_counts = {small_study.INFO.fingerprint: 1437}
    first, second = (take_part(grids, train_counts, Shard(2, number)) for number in (1, 2))
    assert first.runs | second.runs == {run_id for grid in grids for run_id in grid.all_runs()}
    assert not first.runs & second.runs
    assert first.total == 4
    assert (first.mark.study, first.mark.division) == (second.mark.study, second.mark.division)
    assert take_part(grids[::-1], train_counts, Shard(2, 1)) == first
    other = take_part(grids[:1], train_counts, Shard(2, 1))
    assert other.mark.study != first.mark.study


def test_fields_that_a_later_version_adds_to_specs_change_no_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a field has its first value in all runs, so that ids stay; only texts of specs change."""
    runs, train_counts = {run.id: run for run in pool()}, dict(zip(DATASETS, (100, 300), strict=True))
    before = divide(runs, train_counts, 5)
    key = Run.stack_key.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Run, "stack_key", property(lambda run: f"{len(key(run)) % 7} {key(run)[::-1]}"))
    assert divide(runs, train_counts, 5) == before


def test_a_version_that_counts_costs_otherwise_is_told_by_its_division(monkeypatch: pytest.MonkeyPatch) -> None:
    grids, train_counts = [small_study.grid("SGD", "uSF+BN")], {small_study.INFO.fingerprint: 1437}
    first = take_part(grids, train_counts, Shard(2, 1))
    monkeypatch.setattr(shards, "flop_left", lambda run, count: 1 + 2 * (run.method.batch_norm == "none"))
    later = take_part(grids, train_counts, Shard(2, 1))
    assert later.mark.study == first.mark.study
    assert later.mark.division != first.mark.division
    assert later.runs != first.runs


def test_a_division_has_a_name_of_its_parts_and_their_order() -> None:
    parts = [["a", "b"], ["c"], []]
    assert identify_division(parts) == identify_division([["b", "a"], ["c"], []])
    others = ([["c"], ["a", "b"], []], [["a"], ["b", "c"], []], [["a", "b"], ["c"]], [["a", "b", "c"]])
    assert len({identify_division(other) for other in (parts, *others)}) == 5


def test_what_a_shard_is_never_changes() -> None:
    """Machines of other versions train the same parts."""
    runs = small_study.grid("SGD", "uSF+BN", "BM").all_runs()
    parts = divide(runs, {small_study.INFO.fingerprint: 1437}, 3)
    names = {run_id: f"{method_name(run.method)} x{run.rate_multiplier:g}" for run_id, run in runs.items()}
    found = [[names[run_id] for run_id in part] for part in parts]
    assert found == [["uSF+BN x1", "uSF+BN x10"], ["SGD x10", "BM x10"], ["SGD x1", "BM x1"]]


@pytest.mark.parametrize(
    "text", ["", "3", "a/b", "0/8", "9/8", "1/0", "-1/8", "1/8/2", "1.0/8", "³/8", "1/99999", "9" * 5000]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no shard\. Write K/N, for instance 3/8"):
        parse_shard(text)


def test_a_mark_can_be_read_and_is_no_part_of_the_command() -> None:
    mark = Mark(parse_shard("3/8"), "0123456789abcdef", "01234567")
    early = Mark(mark.shard, mark.study)  # as commands of before there were divisions have it
    assert mark.shard == Shard(count=8, number=3)
    assert str(mark.shard) == "3/8"
    for command in ("asymbp train --recipe 'a # b.yaml'", "asymbp.train('x')", ""):
        for one in (mark, early):
            assert split_mark(one.add_to(command)) == (command, one)
        assert split_mark(command) == (command, None)
    assert early.add_to("x") == "x  # shard 3/8 of study 0123456789abcdef"
    quoted = "asymbp train --recipe '  # shard 1/2 of study 0123456789abcdef'"
    impossible = "asymbp train  # shard 1/999999999999 of study 0123456789abcdef"
    for text in (quoted, impossible, impossible.replace("1/", "0/")):
        assert split_mark(text) == (text, None)
