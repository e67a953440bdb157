"""Every YAML file that comes with the tool loads, and its recipe trains; so do those in the documentation."""

import re
from pathlib import Path

import pytest
from PIL import Image

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.events import EpochEnded
from asymbp_cli.executors.registry import load_executor
from asymbp_cli.recipe.networks import find_network, input_shape, load_network, network_for
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.table import load_table
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.draws import generator
from asymbp_cli.training.engine import train_stack

FILES = sorted(recipes_directory().rglob("*.yaml"))
EXAMPLES = [file for file in FILES if file.parent.name == "examples"]
SMOKE = ("protocol.epochs=1", "protocol.batch_size=8", "protocol.batch_norm_batches=2")


def test_there_are_recipes() -> None:
    assert len(EXAMPLES) >= 5
    assert len(FILES) >= len(EXAMPLES) + 3 + 6 + 6


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_file_says_how_to_run_it_and_loads(file: Path) -> None:
    assert file.read_text().startswith("# asymbp ")
    kind = file.parent.name
    if kind == "examples":
        load_recipe(file)
    elif kind == "protocols":
        load_protocol(file.stem)
    elif kind == "networks":
        assert find_network(file.stem) == load_network(file).network
    elif kind == "executors":
        assert load_executor(file.stem).executor == file.stem
    else:
        assert kind == "tables"
        assert load_table(file.stem.removeprefix("table"))


BLOCKS = re.findall(r"```yaml\n(.*?)```", (recipes_directory() / "README.md").read_text(), re.DOTALL)


def test_the_documentation_has_examples() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_an_example_of_the_documentation_loads(block: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(block)
    command = block.splitlines()[0]
    if "--table" in command:
        (table,) = load_table(str(file))
        assert table.columns
    elif "asymbp train" in command:
        assert load_recipe(file).methods
    else:
        assert load_network(file).network.resolve(10)


def test_the_protocol_of_the_documentation_loads(tmp_path: Path) -> None:
    (block,) = re.findall(
        r"```yaml\n(.*?)```", (recipes_directory() / "protocols" / "README.md").read_text(), re.DOTALL
    )
    file = tmp_path / "mine.yaml"
    file.write_text(block)
    protocol, label = load_protocol(str(file))
    assert (protocol.epochs, label) == (10, "quick with epochs=10, weight_decay=0.0")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of noise: two classes, twelve images each."""
    folder = tmp_path_factory.mktemp("images")
    source = generator("images")
    for label in ("left", "right"):
        (folder / label).mkdir()
        for i in range(12):
            pixels = (generator_noise(source) * 255).byte().numpy()
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    return folder


def generator_noise(source):  # type: ignore[no-untyped-def]
    import torch

    return torch.rand(20, 30, 3, generator=source)


def _data(shape: tuple[int, int, int], images: Path) -> ResidentData:
    source = FolderSource(folder=str(images), train_per_class=8, test_per_class=4)
    return load(prepare(source, shape))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_example_trains_an_epoch(file: Path, images: Path) -> None:
    """Two steps of every column, on two classes of noise at the recipe's input size."""
    recipe = load_recipe(file, SMOKE)
    first = recipe.datasets[0]
    own = network_for(first if isinstance(first, str) else "folder")
    *_, network = own, *recipe.networks
    data = _data(input_shape(network, FolderSource(folder="images")), images)
    for entry in recipe.methods:
        run = Run(
            dataset=data.info.fingerprint,
            network=network.resolve(2),
            method=entry.procedure.method,
            protocol=entry.procedure.protocol.model_copy(update={"epochs": 1, "batch_size": 8}),
            rate_multiplier=entry.procedure.protocol.rate_multipliers[-1],
            seed=0,
        )
        (ended,) = [event for event in train_stack(Stack((run,)), data) if isinstance(event, EpochEnded)]
        assert ended.train_seen == 16
        assert ended.test_seen == 8
        assert not ended.diverged
