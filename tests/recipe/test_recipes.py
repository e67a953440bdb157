"""Every YAML file that comes with the tool loads, and its recipe trains."""

from pathlib import Path

import pytest
from PIL import Image

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.network import input_shape, network_for
from asymbp_cli.recipe.recipe import load_protocol, load_recipe
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
    assert len(FILES) >= len(EXAMPLES) + 3 + 6


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_file_says_how_to_run_it_and_loads(file: Path) -> None:
    assert file.read_text().startswith("# asymbp ")
    kind = file.parent.name
    if kind == "examples":
        load_recipe(file)
    elif kind == "protocols":
        load_protocol(file.stem)
    else:
        assert kind == "tables"
        assert load_table(file.stem.removeprefix("table"))


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
    network = recipe.network or network_for(first if isinstance(first, str) else "folder")
    data = _data(input_shape(network, FolderSource(folder="images")), images)
    for entry in recipe.methods:
        run = Run(
            dataset=data.info.fingerprint,
            network=network.resolve(2),
            method=entry.method,
            protocol=entry.protocol.model_copy(update={"epochs": 1, "batch_size": 8}),
            rate_multiplier=entry.protocol.rate_multipliers[-1],
            seed=0,
        )
        (ended,) = [event for event in train_stack(Stack((run,)), data) if isinstance(event, EpochEnded)]
        assert ended.train_seen == 16
        assert ended.test_seen == 8
        assert not ended.diverged
