"""Exported files that are damaged, or that nobody could have exported, are refused."""

import hashlib
import json
import lzma
import math
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from foreign_results import decode
from stored_content import with_runs

from asymbp_cli.errors import StoreError
from asymbp_cli.recipe.grid import grid_id
from asymbp_cli.results.contents import Contents
from asymbp_cli.results.export import encode

FILE = Path("some.jsonl.xz")

NOTICED = r"damaged or incomplete|is no exported file"


def test_every_flipped_bit_is_noticed(small: Contents) -> None:
    content = encode(small)
    assert decode(content, FILE) is not None
    for position in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            with pytest.raises(StoreError, match=NOTICED):
                decode(bytes(damaged), FILE)


def test_every_truncation_and_what_follows_the_end_is_noticed(small: Contents) -> None:
    content = encode(small)
    for length in range(len(content)):
        with pytest.raises(StoreError, match=NOTICED):
            decode(content[:length], FILE)
    for more in (b"\0", b"\0\0\0\0", b"x", content):
        with pytest.raises(StoreError, match=r"damaged or incomplete \(something follows its end\)"):
            decode(content + more, FILE)


def test_changed_numbers_are_noticed_even_if_they_are_compressed_again(small: Contents) -> None:
    text = lzma.decompress(encode(small))
    changed = text.replace(b'"seconds":[0.5', b'"seconds":[0.4')
    assert changed != text
    for content in (changed, text.replace(b"sha256", b"sha"), b"", text.partition(b"\n")[0]):
        with pytest.raises(StoreError, match="damaged or incomplete"):
            decode(lzma.compress(content), FILE)


def test_something_else_is_refused() -> None:
    for content in (b"", b"{}", b"\x1f\x8b\x08"):
        with pytest.raises(StoreError, match=r"some\.jsonl\.xz is no exported file\. Name one that asymbp store"):
            decode(content, FILE)


def rewrite(content: bytes, change: Callable[[list[Any]], object]) -> bytes:
    """Return an exported file with changed lines and the checksum that fits them."""
    lines = [json.loads(line) for line in lzma.decompress(content).splitlines()[:-1]]
    change(lines)
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return lzma.compress(text + json.dumps({"sha256": hashlib.sha256(text).hexdigest()}).encode())


def _unknown_field(lines: list[Any]) -> None:
    spec = json.loads(lines[2]["runs"]["spec"][0])
    lines[2]["runs"]["spec"] = [json.dumps(spec | {"future": 1})]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[0].update(schema=99), r"newer asymbp \(schema 99, this one knows \d\)\. Upgrade"),
        (lambda lines: lines[0].update(asymbp_export=2), r"newer asymbp \(asymbp_export 2, this one knows 1\)"),
        (_unknown_field, r'some.* has "future", which only a newer asymbp knows\. Upgrade'),
        (lambda lines: lines[0].update(schema=0), r"damaged or incomplete \(schema 0\)"),
        (lambda lines: lines[0].update(schema="1"), "its lines are not as asymbp writes them"),
        (lambda lines: lines[0].pop("schema"), "damaged or incomplete"),
        (lambda lines: lines.clear(), "damaged or incomplete"),
        (lambda lines: lines.append([1]), "damaged or incomplete"),
        (lambda lines: lines.append({"sqlite_master": {"name": ["x"]}}), "unknown table or column"),
        (lambda lines: lines.append({"grids": {"id) VALUES (1); --": ["x"]}}), "unknown table or column"),
        (lambda lines: lines[2]["epochs"].update(train_seen=[2**70] * 4), "damaged or incomplete"),
        (lambda lines: lines[2]["attempts"].update(host=["\ud800"]), "damaged or incomplete"),
        (lambda lines: lines.append({"grids": {}}), "damaged or incomplete"),
        (lambda lines: lines.append(lines[2]), "a row is in it twice"),
        (lambda lines: lines.pop(1), "a row belongs to one that is missing"),
        (lambda lines: lines[2]["epochs"]["test_wrong"].pop(), "damaged or incomplete"),
        (lambda lines: lines[2]["epochs"].update(test_wrong=[999] * 4), "an epoch of it has 999 wrong answers"),
        (lambda lines: lines[2]["runs"].update(spec=["{}"]), "damaged or incomplete"),
        (lambda lines: lines[2]["runs"].update(state=["ended"]), "has an end that does not exist"),
    ],
)
def test_contents_that_cannot_be_are_refused(
    change: Callable[[list[Any]], object], message: str, small: Contents
) -> None:
    with pytest.raises(StoreError, match=message):
        decode(rewrite(encode(small), change), FILE)


def edit(table: str, column: str, **changes: object) -> Callable[[list[Any]], object]:
    """Return a function that changes the JSON in a column of the only row of a table."""

    def change(lines: list[Any]) -> None:
        (columns,) = [line[table] for line in lines if table in line]
        columns[column] = [json.dumps(json.loads(columns[column][0]) | changes)]

    return change


def update(table: str, **columns: list[object]) -> Callable[[list[Any]], object]:
    """Return a function that changes columns of the only line of a table."""
    return lambda lines: [line[table].update(columns) for line in lines if table in line]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (update("epochs", test_wrong=["7"] * 4), "the column test_wrong of epochs has values of another type"),
        (update("epochs", test_wrong=[7.5] * 4), "the column test_wrong of epochs has values of another type"),
        (update("epochs", one_class=[True] * 4), "the column one_class of epochs has values of another type"),
        (update("runs", spec=[{}]), "the column spec of runs has values of another type"),
        (update("runs", spec=[None]), "a value is missing"),
        (edit("runs", "spec", seed=7), "the run .* has the content of another run"),
        (edit("grids", "spec", seeds=[7]), "the table .* has the content of another table"),
        (edit("datasets", "info", fingerprint="0"), "the dataset f* has another fingerprint inside"),
        (
            edit("datasets", "info", train_count=1436),
            "epoch 1 of the run .* has seen other samples than digits has",
        ),
        (edit("datasets", "info", test_count=359), "epoch 1 of the run .* has seen other samples than digits has"),
        (update("epochs", epoch=[1, 2, 3, 5]), r"the run .* has other epochs than 1, 2, \.\.\. up to 4 at most"),
        (update("epochs", epoch=[0, 1, 2, 3]), r"the run .* has other epochs than 1, 2, \.\.\. up to 4 at most"),
        (update("epochs", rate=[-1.0] * 4), "epoch 1 of the run .* has a rate or a duration that cannot be"),
        (update("epochs", seconds=[math.inf] * 4), "epoch 1 of the run .* a rate or a duration that cannot be"),
        (update("runs", created=[1e300]), "the run .* has a date that cannot be"),
        (update("grids", updated=[-1.0]), "the table .* has a date that cannot be"),
        (edit("grids", "spec", title="\x1b[2J"), "the table .* has a name that cannot be printed"),
        (edit("datasets", "info", label=""), "the dataset f* has a name that cannot be printed"),
    ],
)
def test_well_formed_contents_that_cannot_be_are_refused(
    change: Callable[[list[Any]], object], message: str, contents: Contents, small: Contents
) -> None:
    content = encode(replace(small, grids=contents.grids))
    assert decode(content, FILE).grids
    with pytest.raises(StoreError, match=rf"damaged or incomplete \((?:{message})\); nothing of it was merged"):
        decode(rewrite(content, change), FILE)


def test_a_run_that_ended_before_its_last_epoch_is_refused(small: Contents) -> None:
    ((run_id, stored),) = small.runs.items()
    shorter = with_runs(small, **{run_id: replace(stored, epochs=stored.epochs[:3])})
    with pytest.raises(StoreError, match="has ended before its last epoch"):
        decode(encode(shorter), FILE)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ((0, 0), "has seeds that no recipe can have"),
        ((-1,), "has seeds that no recipe can have"),
        (tuple(range(250_001)), "has more than 1,000,000 runs"),  # at two rates of two methods
    ],
)
def test_seeds_that_no_recipe_could_have_are_refused(
    seeds: tuple[int, ...], message: str, contents: Contents
) -> None:
    ((_, stored),) = contents.grids.items()
    grid = stored.grid.model_copy(update={"seeds": seeds})
    with pytest.raises(StoreError, match=message):
        decode(encode(replace(contents, grids={grid_id(grid): replace(stored, grid=grid)})), FILE)


def test_a_file_that_would_fill_the_memory_is_refused_early(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = lzma.compress(bytes(2**26))
    monkeypatch.setattr("asymbp_cli.results.export._MOST_BYTES", 2**22)
    tracemalloc.start()
    with pytest.raises(StoreError, match="it holds more than 4 MiB"):
        decode(bomb, FILE)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bytes(2**24 + 1), "it has a line of more than 16 MiB"),
        (b"\n" * (2**18 + 1), "it has more than 262,144 lines"),
    ],
)
def test_more_than_an_exported_file_can_have_is_refused_before_it_is_parsed(text: bytes, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        decode(lzma.compress(text), FILE)


def test_lines_are_parsed_one_by_one(small: Contents) -> None:
    """A line of many empty lists takes fifty times its size; the first one is refused."""
    many = rewrite(
        encode(small), lambda lines: lines[1:].clear() or lines.extend([{"runs": {"id": [[]] * 2**18}}] * 9)
    )
    tracemalloc.start()
    with pytest.raises(StoreError, match="the column id of runs has values of another type"):
        decode(many, FILE)
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()
