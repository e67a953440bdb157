"""Merging stores: what is kept, what is reported, and that it happens whole or not at all."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import small_study
from foreign_results import merge
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_content import EPOCHS, cut, load, make_source, merge_all, with_runs

from asymbp_cli.results.contents import Contents, StoredGrid, StoredRun
from asymbp_cli.results.export import encode
from asymbp_cli.results.merge import Merged, MovedCells
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store


def change(stored: StoredRun, epoch: int, **counts: int) -> StoredRun:
    """Return a run whose counts differ in an epoch."""
    epochs = tuple(replace(event, **counts) if event.epoch == epoch else event for event in stored.epochs)
    return replace(stored, epochs=epochs)


def test_a_merged_store_is_the_store_that_was_exported(contents: Contents, tmp_path: Path) -> None:
    (merged,) = merge_all(tmp_path / "new" / "results", contents)
    assert merged == Merged(tuple(contents.runs), (), (), ())
    assert repr(load(tmp_path / "new" / "results")) == repr(contents)


def test_merging_again_changes_nothing(contents: Contents, tmp_path: Path) -> None:
    _, again = merge_all(tmp_path, contents, contents)
    assert again == Merged((), (), tuple(contents.runs), ())
    assert repr(load(tmp_path)) == repr(contents)


parts = st.lists(st.lists(st.none() | st.integers(0, EPOCHS), min_size=4, max_size=4), min_size=1, max_size=3)


@settings(max_examples=25, deadline=None)
@given(lengths=parts)
def test_the_order_of_merging_does_not_matter(lengths: list[list[int | None]], contents: Contents) -> None:
    """Each store has some of the runs, trained for some epochs; the longest of each survive, byte for byte."""
    stores = [
        with_runs(
            contents,
            **{
                run_id: cut(stored, length)
                for (run_id, stored), length in zip(contents.runs.items(), row, strict=True)
                if length is not None
            },
        )
        for row in lengths
    ]
    found = []
    for order in (stores, stores[::-1], [*stores, *stores]):
        with TemporaryDirectory() as directory:
            assert not any(merged.different for merged in merge_all(Path(directory), *order))
            found.append(encode(load(Path(directory))))
    longest = {
        run_id: max(known)
        for run_id, *column in zip(contents.runs, *lengths, strict=True)
        if (known := [length for length in column if length is not None])
    }
    expected = with_runs(
        contents, **{run_id: cut(contents.runs[run_id], n) for run_id, n in sorted(longest.items())}
    )
    assert found == [encode(expected)] * 3


@pytest.mark.parametrize(
    "counts", [{"test_wrong": 1}, {"train_wrong": 1}, {"validation_wrong": 1, "validation_seen": 10}]
)
@pytest.mark.parametrize("length", [3, EPOCHS])
def test_other_numbers_are_reported_and_never_taken(
    counts: dict[str, int], length: int, contents: Contents, run_id: str, tmp_path: Path
) -> None:
    other = change(cut(contents.runs[run_id], length), 2, **counts)
    first, second = merge_all(tmp_path, with_runs(contents, **{run_id: other}), contents)
    assert first.new == (run_id,)
    (difference,) = second.different
    assert (difference.run, difference.epoch) == (run_id, 2)
    assert (difference.kept, difference.other) == (other, contents.runs[run_id])
    assert set(second.new) == set(contents.runs) - {run_id}
    assert repr(load(tmp_path).runs) == repr({**contents.runs, run_id: other})


def test_an_end_that_differs_is_reported(contents: Contents, run_id: str, tmp_path: Path) -> None:
    other = replace(contents.runs[run_id], state="collapsed")
    _, second = merge_all(tmp_path, with_runs(contents, **{run_id: other}), contents)
    assert [difference.epoch for difference in second.different] == [None]
    assert load(tmp_path).runs[run_id] == other


def test_losses_times_and_hosts_may_differ_and_those_that_were_there_stay(
    contents: Contents, run_id: str, tmp_path: Path
) -> None:
    stored = contents.runs[run_id]
    epochs = tuple(
        replace(event, test_loss=event.test_loss + 1e-9, validation_loss=0.5, seconds=9.0)
        for event in stored.epochs
    )
    other = replace(stored, epochs=epochs, updated=5.0, attempts=())
    _, second = merge_all(
        tmp_path, with_runs(contents, **{run_id: other}), with_runs(contents, **{run_id: stored})
    )
    assert second.same == (run_id,)
    assert load(tmp_path).runs[run_id] == other


def test_the_longer_of_two_unfinished_runs_is_kept(contents: Contents, run_id: str, tmp_path: Path) -> None:
    lengths = (1, 3, 2, EPOCHS, 3)
    stores = [with_runs(contents, **{run_id: cut(contents.runs[run_id], length)}) for length in lengths]
    found = merge_all(tmp_path, *stores)
    assert [bool(merged.longer) for merged in found] == [False, True, False, True, False]
    assert [bool(merged.same) for merged in found] == [False, False, True, False, True]
    assert load(tmp_path).runs == {run_id: contents.runs[run_id]}


def test_a_merged_run_is_not_trained_again_and_an_unfinished_one_starts_anew(
    contents: Contents, tmp_path: Path
) -> None:
    grid = small_study.grid("SGD", "uSF+BN", epochs=EPOCHS, multipliers=(1000.0, 1.0))
    first, *others = contents.runs
    unfinished = {first: cut(contents.runs[first], 2)}
    merge_all(tmp_path, with_runs(contents, **unfinished, **{run: contents.runs[run] for run in others}))
    outcome = small_study.train(tmp_path, grid)
    assert (outcome.finished, set(outcome.skipped)) == ((first,), set(others))
    after = load(tmp_path)
    assert repr(after.runs[first].epochs) == repr(contents.runs[first].epochs)
    assert [attempt.outcome for attempt in after.runs[first].attempts] == ["interrupted", "finished"]
    assert len(after.grids) == 1


def test_epochs_of_another_machine_go_when_a_run_starts_before_them(
    contents: Contents, run_id: str, tmp_path: Path
) -> None:
    merge_all(tmp_path, with_runs(contents, **{run_id: cut(contents.runs[run_id], 3)}))
    with Store.open(tmp_path) as store, store.writing():
        store.begin([contents.runs[run_id].run], 1, collect("cpu"))
        assert store.epochs([run_id])[run_id] == [contents.runs[run_id].epochs[0]]


def test_tables_get_the_rows_and_commands_of_both(tmp_path: Path) -> None:
    mnist = small_study.INFO.model_copy(update={"fingerprint": "m" * 64, "label": "MNIST"})
    rows = (small_study.row(mnist.fingerprint, "MNIST"),)
    small_study.train(tmp_path / "a", small_study.grid("SGD"), command="asymbp a")
    small_study.train(
        tmp_path / "b", small_study.grid("SGD", rows=rows), infos={mnist.fingerprint: mnist}, command="asymbp b"
    )
    for first, second in ("ab", "ba"):
        merge_all(tmp_path / first / "merged", load(tmp_path / first), load(tmp_path / second))
        with Store.open(tmp_path / first / "merged") as store:
            (grid,) = store.grids()
            assert sorted(row.label for row in grid.rows) == ["MNIST", "digits"]
            assert store.commands(grid) == ("asymbp a", "asymbp b")
            assert store.finished_ids() == set(grid.all_runs())
    (a,), (b,), (merged,) = (load(tmp_path / name).grids.values() for name in ("a", "b", "a/merged"))
    assert (merged.created, merged.updated) == (a.created, b.updated)
    assert load(tmp_path / "a" / "merged").grids == load(tmp_path / "b" / "merged").grids


def test_of_a_row_of_both_the_one_asked_for_last_is_kept(contents: Contents, tmp_path: Path) -> None:
    ((key, stored),) = contents.grids.items()
    (row,) = stored.grid.rows
    rows = (row.model_copy(update={"note": "asked for again"}),)
    grid = stored.grid.model_copy(update={"rows": rows})
    later = replace(stored, grid=grid, created=stored.created - 9, updated=stored.updated + 9)
    for name, order in {"a": (stored, later), "b": (later, stored)}.items():
        merge_all(tmp_path / name, *(replace(contents, grids={key: grid}) for grid in order))
        assert load(tmp_path / name).grids == {key: later}


SAMPLES = small_study.INFO.train_count


def early_and_present(contents: Contents) -> tuple[StoredGrid, StoredGrid]:
    """Return a table as an early store has it, asked for last, and as this version would plan it."""
    (early,) = contents.grids.values()
    (row,) = early.grid.rows
    cycling = early.grid.protocol.model_copy(update={"batch_norm_short_epochs": "cycle"})
    changes = {
        "rows": (row.model_copy(update={"train_count": SAMPLES}),),
        "columns": tuple(small_study.column(column.header, cycling) for column in early.grid.columns),
        "base": cycling,
    }
    grid = early.grid.model_copy(update=changes)
    return replace(early, updated=early.updated + 9), replace(early, grid=grid)


@pytest.mark.parametrize("early_first", [True, False])
def test_a_row_that_knows_its_samples_is_kept_whichever_was_asked_for_last(
    early_first: bool, contents: Contents, tmp_path: Path
) -> None:
    early, present = early_and_present(contents)
    ((key, _),) = contents.grids.items()
    order = [early, present] if early_first else [present, early]
    *_, merged = merge_all(tmp_path, *(replace(contents, grids={key: grid}) for grid in order))
    assert load(tmp_path).grids == {key: replace(early, grid=present.grid)}
    # uSF+BN is trained otherwise on short epochs, SGD is not; the present table had no results to lose
    assert merged.moved == ((MovedCells(present.grid, 1),) if early_first else ())


def test_cells_without_results_come_from_nowhere_and_are_not_counted(contents: Contents, tmp_path: Path) -> None:
    early, present = early_and_present(contents)
    ((key, _),) = contents.grids.items()
    *_, merged = merge_all(
        tmp_path, *(replace(with_runs(contents), grids={key: grid}) for grid in (early, present))
    )
    assert merged.moved == ()


@pytest.mark.parametrize("early_first", [True, False])
def test_rows_of_both_are_taken_one_by_one(early_first: bool, contents: Contents, tmp_path: Path) -> None:
    """Each table has a row that only it knows the samples of."""
    _, present = early_and_present(contents)
    ((key, _),) = contents.grids.items()

    def with_samples(*counts: int | None) -> StoredGrid:
        rows = (small_study.row(name * 64, name) for name in "ab")
        counted = [row.model_copy(update={"train_count": n}) for row, n in zip(rows, counts, strict=True)]
        return replace(present, grid=present.grid.model_copy(update={"rows": tuple(counted)}))

    stores = [
        replace(contents, grids={key: with_samples(*counts)}) for counts in ((SAMPLES, None), (None, SAMPLES))
    ]
    merge_all(tmp_path, *(stores if early_first else stores[::-1]))
    (merged,) = load(tmp_path).grids.values()
    assert [(row.label, row.train_count) for row in merged.grid.rows] == [("a", SAMPLES), ("b", SAMPLES)]


def test_several_sources_are_merged_like_one_after_the_other(
    contents: Contents, run_id: str, tmp_path: Path
) -> None:
    sources = [with_runs(contents, **{run_id: cut(contents.runs[run_id], length)}) for length in (1, 3)] + [
        contents
    ]
    with Store.open(tmp_path / "together") as store:
        together = merge(map(make_source, sources), store)
    assert together == merge_all(tmp_path / "apart", *sources)
    assert [len(merged.longer) for merged in together] == [0, 1, 1]
    assert repr(load(tmp_path / "together")) == repr(load(tmp_path / "apart"))


def test_a_part_has_the_datasets_of_its_tables_even_without_runs(contents: Contents) -> None:
    (stored,) = contents.grids.values()
    assert with_runs(contents).restrict_to([stored.grid]) == with_runs(contents)
    assert contents.restrict_to([]) == Contents({}, {}, {})


def test_an_attempt_under_way_where_it_was_exported_is_interrupted_here(
    contents: Contents, tmp_path: Path
) -> None:
    first, stored = next(iter(contents.runs.items()))
    running = replace(stored.attempts[0], ended=None, outcome=None)
    merge_all(tmp_path, with_runs(contents, **{first: replace(cut(stored, 2), attempts=(running,))}))
    (attempt,) = load(tmp_path).runs[first].attempts
    assert (attempt.outcome, attempt.ended) == ("interrupted", max(running.started, stored.updated))
