"""Faults that people make in recipes and tables: each is named in its line, whatever else is wrong."""

import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import pytest

from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.recipe.table import load_table_file

#: the places of a recipe, in the order of its lines: name -> text without a fault
RECIPE = {
    "title": "title: Signs",
    "dataset": "dataset: digits",
    "folder": "",
    "input": "network:\n  input: 8x8x1",
    "activation": "  activation: relu",
    "layer": "  layers:\n  - FC 16\n  - FC classes",
    "method": "feedback:\n  scheme: brsf",
    "flips": "  flip_probability: 0.25",
    "parameter": "",
    "norm": "batch_norm: plain",
    "update": "update: bm1",
    "train": "train: all",
    "extends": "protocol:\n  extends: demo",
    "epochs": "  epochs: 3",
    "rates": "  base_rate: 0.1",
    "switch": "  decay_biases: true",
    "habit": "",
    "seed": "seed: [0, 1]",
    "weights": "keep_weights: best",
    "top": "",
}
#: place -> text with a fault, how the line begins that is at fault, and the message
RECIPE_FAULTS = [
    ("title", "title: 2024", "title: 2", "must be text on one line"),
    ("title", "title: 'a\tb'", "title: 'a", "must be text on one line"),
    ("title", "title: @home", "title: @", "needs quotes"),
    ("dataset", "dataset: dgits", "dataset", '"dgits" is not a dataset'),
    ("dataset", "dataset: digits\u00a0", "dataset", "non-breaking space (U+00A0)"),
    ("dataset", "dataset\uff1a digits", "dataset", "full-width colon (U+FF1A)"),
    ("dataset", "dataset:\u200b digits", "dataset", "zero-width space (U+200B)"),
    ("dataset", "dataset: \u201cdigits\u201d", "dataset", "left double quotation mark"),
    ("dataset", "datset: digits", "datset", 'Did you mean "dataset"?'),
    ("dataset", "dataset: {folder: a, tran_per_class: 3}", "dataset", 'Did you mean "train_per_class"?'),
    ("folder", "model: mnist", "model", "is called network here"),
    ("input", "network:\n  input: 8by8", "  input", "write it like 28x28x1"),
    ("input", "network:\n  inputs: 8x8x1", "  inputs", 'Did you mean "input"?'),
    ("activation", "  activation: rleu", "  activation", 'Did you mean "relu"?'),
    ("activation", "  epochs: 5", "  epochs: 5", "belongs in protocol"),
    ("layer", "  layers:\n  - FC 16\n  - ReLU\n  - FC classes", "  - ReLU", "follows every layer but the last"),
    ("layer", "  layers:\n  - BN\n  - FC classes", "  - BN", "belongs to the method"),
    ("layer", "  layers:\n  - Dropout(0.5)\n  - FC classes", "  - Dropout", "there is no dropout"),
    ("layer", "  layers:\n  - Linear 10\n  - FC classes", "  - Linear", "write it like FC 500"),
    ("layer", "  layers:\n  - 16\n  - FC classes", "  - 16", "must be text, not 16"),
    ("method", "feedback:\n  scheme: brfs", "  scheme", 'Did you mean "brsf"?'),
    ("method", "feedback:\n  shceme: brsf", "  shceme", 'Did you mean "scheme"?'),
    ("flips", "  flip_probability: 2", "  flip_probability", "less than or equal to 1"),
    ("flips", "  flip_probability: .nan", "  flip_probability", "which is not finite"),
    ("parameter", "  density: 3", "  density", "less than or equal to 1"),
    ("norm", "batch_norm: true", "batch_norm", "true is not one of none, plain, learnable"),
    ("norm", "batch_norm: yes", "batch_norm", '"yes" is not one of none, plain, learnable'),
    ("norm", "BN: yes", "BN", "is called batch_norm here"),
    ("update", "update: rmsprop", "update", '"rmsprop" is not one of sgd'),
    ("update", "optimizer: rmsprop", "optimizer", "there is no rmsprop"),
    ("update", "optimizer: adam", "optimizer", "is called update here: sgd, bm1, bm2, bm3, adam. A method"),
    ("update", "update: 2024-01-01", "update", '"2024-01-01" is not one of'),
    ("train", "train: botom", "train: b", 'Did you mean "bottom"?'),
    ("train", "train: [all", "train: [all", "a bracket is not closed"),
    ("train", "train: 'all", "train: 'all", "a quote is not closed"),
    ("extends", "protocol:\n  extends: dmo", "  extends", '"dmo" is not a protocol'),
    ("epochs", "  epochs: 99999999999999999999", "  epochs", "which is too large"),
    ("epochs", "  epochs: 9999999999", "  epochs", "less than or equal to 1000000"),
    ("epochs", "  epochs: three", "  epochs", "must be a whole number"),
    ("epochs", "  epochs: 010", "  epochs", "could be read in two ways"),
    ("rates", "  base_rate: .inf", "  base_rate", "which is not finite"),
    ("rates", "  base_rate: 1e999", "  base_rate", "must be a finite number"),
    ("rates", "  lr: 0.1", "  lr", "is called base_rate here"),
    ("rates", "  rate_multipliers: [1, 1]", "  rate_multipliers", "must not name a value twice"),
    ("switch", "  decay_biases: on", "  decay_biases", "Write true"),
    ("habit", "  phases: [{share: 1, factr: 1}]", "  phases", 'Did you mean "factor"?'),
    ("habit", "  seed: 3", "  seed", "belongs to the recipe itself"),
    ("seed", "seed: [0, -1]", "seed", "from 0 on"),
    ("seed", "seed: [0, 0]", "seed", "0 is in it twice"),
    ("seed", "seeds: 3", "seeds", "is called seed here, and lists them: seed: [0, 1, 2]"),
    ("seed", "seed: [99999999999999999999]", "seed", "which is too large"),
    ("weights", "keep_weights: all", "keep_weights: a", "best or last"),
    ("top", "epochs: 3", "epochs", "belongs in protocol"),
    ("top", "batch_size: 32", "batch_size", "belongs in protocol"),
    ("top", "learning_rate: 0.1", "learning_rate", "base_rate: 0.1, rate_multipliers: [1]"),
    ("top", "device: cuda", "device", "type --device"),
    ("top", "dropout: 0.5", "dropout", "there is no dropout"),
    ("top", "keep_weights: last", "keep_weights: last", "is given twice"),
    ("top", "train: *nobody", "train: *nobody", "needs quotes"),
]
TABLE = {
    "title": "title: Mine",
    "datasets": "datasets:\n- digits",
    "protocol": "protocol: demo",
    "baseline": "baseline: SGD",
    "first": "columns:\n- SGD",
    "header": "- header: one\n  method: uSF",
    "runs": "- header: two\n  runs:\n  - method: BM",
    "top": "",
}
TABLE_FAULTS = [
    ("title", "titel: Mine", "titel", 'Did you mean "title"?'),
    ("title", "title: 3", "title", "must be text, not 3"),
    ("datasets", "datasets:\n- mnits", "- mnits", 'Did you mean "mnist"?'),
    ("datasets", "dataset:\n- mnist", "dataset", 'Did you mean "datasets"?'),
    ("protocol", "protocol: dmo", "protocol", '"dmo" is not a protocol'),
    ("baseline", "baseline: SDG", "baseline", 'Did you mean "SGD"?'),
    ("first", "columns:\n- SDG", "- SDG", 'Did you mean "SGD"?'),
    ("header", "- header: one\n  method: uSFF", "  method: uSFF", 'Did you mean "uSF"?'),
    ("header", "- name: one\n  method: uSF", "- name", "is called header here"),
    ("header", "- header: one\n  method: uSF\n  protocol: {epohcs: 3}", "  protocol: {", 'Did you mean "epochs"?'),
    ("header", "- header: one\n  method: uSF\n  epochs: 3", "  epochs", "Write protocol: {epochs: 3}"),
    ("runs", "- header: two\n  runs:\n  - methd: BM", "  - methd", 'Did you mean "method"?'),
    ("runs", "- header: two\n  runs: []", "  runs", "must not be empty"),
    ("runs", "- header: two\n  method: BM\n  grow_before_rate_drops: 1", "  grow", "must be true or false"),
    ("top", "epochs: 3", "epochs: 3", "--set protocol.epochs=3"),
    ("top", "kind: erors", "kind", 'Did you mean "errors"?'),
    ("top", "reference: mine.csv", "reference", "means nothing in your own tables"),
    ("top", "network: {input: 8, layer: [FC classes]}", "network", 'Did you mean "layers"?'),
]
KINDS = {"recipe": (RECIPE, RECIPE_FAULTS), "table": (TABLE, TABLE_FAULTS)}
LOADERS = {"recipe": load_recipe, "table": load_table_file}
Fault = tuple[str, str, str, str]


def write(parts: Mapping[str, str], faults: Sequence[Fault], file: Path) -> None:
    """Write a file with faults in some of its places."""
    texts = {**parts, **{place: text for place, text, *_ in faults}}
    file.write_text("".join(f"{text}\n" for text in texts.values() if text), encoding="utf-8")


def find_problems(kind: str, file: Path) -> tuple[str, ...]:
    try:
        LOADERS[kind](file)
    except RecipeError as error:
        return error.problems
    return ()


def check(kind: str, faults: Sequence[Fault]) -> None:
    """Check that each fault is named in its line, and nothing else is."""
    parts, _ = KINDS[kind]
    file = Path("mine.yaml")
    write(parts, faults, file)
    lines = file.read_text(encoding="utf-8").split("\n")
    problems = find_problems(kind, file)
    assert not [problem for problem in problems if "\n" in problem]
    for _, _, start, message in faults:
        (number,) = [n for n, line in enumerate(lines, 1) if line.startswith(start.split("\uff1a")[0])][-1:]
        found = [problem for problem in problems if f"mine.yaml:{number}: " in problem and message in problem]
        assert found, (start, message, problems)
    assert not [problem for problem in problems if ": is missing" in problem], problems


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_without_faults_there_are_no_problems(kind: str) -> None:
    check(kind, [])


CASES = [(kind, fault) for kind, (_, faults) in KINDS.items() for fault in faults]


@pytest.mark.parametrize(("kind", "fault"), CASES, ids=[f"{kind} {fault[1]!a}" for kind, fault in CASES])
def test_a_fault_is_named_in_its_line_and_alone(kind: str, fault: Fault) -> None:
    check(kind, [fault])
    assert len(find_problems(kind, Path("mine.yaml"))) == 1


def pick(kind: str, count: int, size: int, seed: int) -> list[tuple[Fault, ...]]:
    """Return random groups of faults, each in a place of its own."""
    source = random.Random(seed)
    groups = [group for group in combinations(KINDS[kind][1], 2) if len({fault[0] for fault in group}) == 2]
    if size == 2:
        return source.sample(groups, count)
    found: list[tuple[Fault, ...]] = []
    while len(found) < count:
        group = tuple(source.sample(KINDS[kind][1], size))
        found += [group] if len({fault[0] for fault in group}) == size else []
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [2, 3, 6])
def test_no_fault_hides_another(kind: str, size: int) -> None:
    for group in pick(kind, 30, size, seed=size):
        check(kind, group)
