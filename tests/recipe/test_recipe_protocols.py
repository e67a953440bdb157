"""The protocols that come with the tool, and how a changed one is called."""

from pathlib import Path

import pytest
from written_recipes import PAPER, plain

from asymbp_cli.errors import RecipeError, UsageError
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import load_recipe, resolved_yaml
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.yamlfile import read_yaml
from asymbp_cli.specs.protocol import Protocol


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_paper_yaml_says_everything_and_is_the_default() -> None:
    file = recipes_directory() / "protocols" / "paper.yaml"
    assert set(read_yaml(file).data) == set(Protocol.model_fields)
    assert load_protocol("paper") == (PAPER, "paper")


def test_the_other_protocols_differ_in_their_epochs_only() -> None:
    assert load_protocol("quick") == (PAPER.model_copy(update={"epochs": 5}), "quick")
    assert load_protocol("demo") == (PAPER.model_copy(update={"epochs": 20}), "demo")
    assert [count for count, _ in load_protocol("Demo")[0].schedule()] == [15, 3, 2]


def test_the_second_reading_is_matconvnets() -> None:
    """As cnn_train.m, cnn_mnist.m, cnn_mnist_init.m and vl_nnbnorm.m of MatConvNet 1.0-beta14 have it."""
    second = Protocol(
        batch_norm_short_epochs="cycle",
        gradient="mean",
        weight_decay=5e-4,
        decay_biases=True,
        decay_batch_norm=False,
        initialization="normal",
        initial_std=0.01,
        batch_norm_epsilon=1e-4,
        preprocessing="mean-image-unscaled",
    )
    assert load_protocol("matconvnet") == (second, "matconvnet")
    assert load_protocol("matconvnet-quick") == (second.model_copy(update={"epochs": 5}), "matconvnet-quick")
    (entry,) = plain(protocol="{extends: matconvnet, epochs: 15}").methods
    assert entry.procedure.protocol.preprocessing == "mean-image-unscaled"


@pytest.mark.parametrize(
    ("protocol", "label"),
    [
        ("demo", "demo"),
        ("DEMO", "demo"),
        ("{extends: demo}", "demo"),
        ("{extends: demo, epochs: 20}", "demo"),
        ("{extends: demo, momentum: 0.9, base_rate: 5e-4}", "demo"),
        ("{extends: demo, epochs: 3}", "demo with epochs=3"),
        ("{extends: demo, momentum: 0.5, epochs: 3}", "demo with epochs=3, momentum=0.5"),
        ("{epochs: 3}", "paper with epochs=3"),
        ("{extends: quick, gradient: mean}", "quick with gradient=mean"),
        (
            "{extends: demo, batch_size: [{from_epoch: 1, size: 5}]}",
            "demo with batch_size=[{from_epoch: 1, size: 5}]",
        ),
        (
            "{extends: demo, phases: [{share: 2, factor: 1}, {share: 1, factor: 0.5, decay: 0.1}]}",
            "demo with phases=[{share: 2.0, factor: 1.0}, {share: 1.0, factor: 0.5, decay: 0.1}]",
        ),
        ("paper.yaml", "paper with epochs=9"),
        ("./demo.yaml", "paper with epochs=9, momentum=0.5"),
        ("{extends: demo.yaml, momentum: 0.9}", "paper with epochs=9"),
        ("same.yaml", "demo"),
    ],
)
def test_a_protocol_with_a_change_never_bears_the_plain_name(protocol: str, label: str) -> None:
    """Whatever the files in between are called, the label says what differs from one of the tool's protocols."""
    Path("paper.yaml").write_text("extends: paper\nepochs: 9\n")
    Path("demo.yaml").write_text("extends: ./paper.yaml\nmomentum: 0.5\n")
    Path("same.yaml").write_text("extends: demo\nepochs: 20\n")
    recipe = plain(protocol=protocol)
    assert recipe.protocol_label == label
    Path("mine.yaml").write_text(resolved_yaml(recipe))
    assert load_recipe(Path("mine.yaml")) == recipe


def test_protocols_for_a_table() -> None:
    assert load_protocol("demo", ["protocol.epochs=3"]) == (
        PAPER.model_copy(update={"epochs": 3}),
        "demo with epochs=3",
    )
    assert load_protocol("demo", ["protocol.epochs=20"])[1] == "demo"
    with pytest.raises(UsageError, match=r"--set epochs=3: here only protocol\.KEY=VALUE can be set"):
        load_protocol("demo", ["epochs=3"])
    with pytest.raises(UsageError, match=r'"papr" is not a protocol; .* Did you mean "paper"\?'):
        load_protocol("papr")
    with pytest.raises(RecipeError) as caught:
        load_protocol("demo", ["protocol.epohcs=3", "protocol.momentum=2"])
    assert sorted(caught.value.problems) == [
        '--set protocol.epohcs: unknown key. Did you mean "epochs"?',
        "--set protocol.momentum: must be less than 1, not 2",
    ]
