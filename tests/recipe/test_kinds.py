"""What a file is taken for, and why."""

import pytest

from asymbp_cli.recipe.kinds import explain_kind, find_kind
from asymbp_cli.recipe.yamlfile import parse_yaml


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("dataset: digits", "recipe"),
        ("title: x", "recipe"),
        ("nothing: 1", "recipe"),
        ("title: x\nprotocol: demo\nnetwork: mnist", "recipe"),
        ("dataset: digits\nmethod: SGD\nepochs: 3\nlr: 1\nbatch_size: 3\nmomentum: 0.9", "recipe"),
        ("dataset: digits\nmethod: SGD\nprotocol: demo\ninput: 8x8x1\nlayers: [FC classes]", "recipe"),
        ("feedback: usf\nepochs: 3", "recipe"),
        ("title: x\ncolumns: [SGD]", "table"),
        ("title: x\ncolumns: [SGD]\ndataset: digits\nmethod: SGD", "table"),
        ("title: x\nkind: networks", "table"),
        ("title: x\nbaseline: SGD\ndatasets: [mnist]", "table"),
        ("epochs: 3", "protocol"),
        ("epohcs: 3\nmomentum: 0.5\nseed: 1", "protocol"),
        ("extends: quick", "protocol"),
        ("input: 8x8x1", "network"),
        ("layers: [FC classes]\nseed: 3", "network"),
        ("layers: [FC classes", "network"),
        ("executor: slurm\nworkers: 3", "executor"),
        ("executor: 'slurm\nworkers: 3", "executor"),
    ],
)
def test_what_a_file_is_taken_for(text: str, kind: str) -> None:
    assert find_kind(parse_yaml(f"{text}\nx-more: 1\n", "f.yaml")) == kind


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dataset: digits\nmethod: SGD\nprotocol: demo\nx: 3", ""),
        ("title: x\ncolumns: [SGD]\nnothing: 1", ""),
        (
            "dataset: digits\nepochs: 3",
            "was taken for a recipe, since it has dataset; not for a protocol, although it has epochs",
        ),
        (
            "title: x\ncolumns: [SGD]\ndataset: digits",
            "was taken for a table, since it has columns; not for a recipe, although it has dataset",
        ),
        ("nothing: 1", "was taken for a recipe, since no key tells: a table has columns, a network layers"),
    ],
)
def test_why_a_file_was_taken_for_its_kind(text: str, reason: str) -> None:
    explained = explain_kind(parse_yaml(text, "f.yaml"))
    assert explained.startswith(reason)
    assert bool(explained) == bool(reason)
