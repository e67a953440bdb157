"""Networks in files: those that come with the tool, and those of users."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.errors import NetworkError, RecipeError, UsageError
from asymbp_cli.recipe.networks import (
    NETWORK_FILES,
    NETWORKS,
    find_network,
    input_shape,
    load_network,
    load_networks,
)
from asymbp_cli.recipe.recipe import load_recipe, resolved_yaml
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.specs.networks import Network

ROOT = Path(__file__).parents[2]
TINY = "# asymbp ls networks\ninput: 8x8x1\nlayers: [FC 5, FC classes]\n"


def test_names_in_any_case_and_the_nearest() -> None:
    assert find_network("CIFAR") == NETWORKS["cifar"]
    with pytest.raises(
        UsageError, match=r'"cifr" is not a network\. Did you mean "cifar"\? \(asymbp ls networks\)'
    ):
        find_network("cifr")


def test_networks_come_in_the_order_of_table_1_and_others_last(tmp_path: Path) -> None:
    assert list(NETWORKS)[:5] == ["large", "mnist", "cifar", "svhn", "timit"]
    assert [file.column for file in NETWORK_FILES.values()][:6] == [1, 2, 3, 4, 5, None]
    others = list(NETWORKS)[5:]
    assert others == sorted(others)
    assert "digits" in others
    shutil.copytree(recipes_directory() / "networks", tmp_path / "networks")
    (tmp_path / "networks" / "a.yaml").write_text(TINY)
    assert list(load_networks(tmp_path / "networks")) == [*list(NETWORKS)[:5], *sorted(["a", *others])]


def test_a_network_is_added_by_one_file_alone(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "asymbp_cli", tmp_path / "asymbp_cli", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(recipes_directory(), tmp_path / "recipes")
    (tmp_path / "recipes" / "networks" / "tiny.yaml").write_text(TINY)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("dataset: digits\nnetwork: tiny\nmethod: SGD\nprotocol: demo\n")

    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "asymbp_cli", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "tiny    8x8x1      FC 5, FC classes" in run("ls", "networks")
    assert "tiny: 0.0 MFLOP per sample and step" in run("reproduce", "--table", "1")
    assert "- FC 5" in run("validate", "--resolved", str(recipe))
    assert '"tiny"' in run("schema")


def test_a_recipe_takes_the_path_of_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths lead from the working directory, or from the recipe."""
    monkeypatch.chdir(tmp_path)
    for folder in ("here", "far"):
        Path(folder).mkdir()
    Path("far/tiny.yaml").write_text(TINY)
    Path("far/both.yaml").write_text(TINY)
    Path("both.yaml").write_text(TINY.replace("FC 5", "FC 6"))
    for name, layers in (("tiny.yaml", "FC 5"), ("both.yaml", "FC 6"), ("./far/both.yaml", "FC 5")):
        Path("far/mine.yaml").write_text(f"dataset: digits\nnetwork: {name}\nmethod: SGD\nprotocol: demo\n")
        recipe = load_recipe(Path("far/mine.yaml"))
        (network,) = recipe.networks
        assert (network.input, network.layers) == ((8, 8, 1), (layers, "FC classes"))
        Path("resolved.yaml").write_text(resolved_yaml(recipe))
        assert load_recipe(Path("resolved.yaml")) == recipe.model_copy(update={"name": "resolved"})


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("input: 8x8\n", ["tiny.yaml:1: layers: is missing"]),
        (
            "input: 8by8\nlayers: [FC classes]\n",
            ['tiny.yaml:1: input: "8by8": write it like 28x28x1, or 1845 for vectors'],
        ),
        ("inptu: 8\nlayers: [FC classes]\n", ['tiny.yaml:1: inptu: unknown key. Did you mean "input"?']),
        (
            "input: 8x8x1\nlayers:\n- FC x\n- Cnv\n",
            [
                'tiny.yaml:3: layers[0]: "FC x": a width is a number, classes, 2*classes or max(256, 3*classes)',
                'tiny.yaml:4: layers[1]: "Cnv" is not a layer',
            ],
        ),
        (
            "input: 8x8x1\nlayers: [FC classes]\ncolumn: 0\n",
            ["tiny.yaml:3: column: must be greater than or equal to 1, not 0"],
        ),
    ],
)
def test_problems_of_a_network_name_its_file(
    text: str, messages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_network(Path("tiny.yaml"))
    assert len(caught.value.problems) == len(messages)
    for problem, message in zip(caught.value.problems, messages, strict=True):
        assert problem.startswith(message)
    Path("mine.yaml").write_text("dataset: digits\nnetwork: tiny.yaml\nmethod: SGD\nprotocol: demo\n")
    with pytest.raises(RecipeError) as again:
        load_recipe(Path("mine.yaml"))
    assert again.value.problems == caught.value.problems


def test_a_path_that_leads_nowhere_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("dataset: digits\nnetwork: none.yaml\nmethod: SGD\nprotocol: demo\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(Path("mine.yaml"))
    assert caught.value.problems == ("none.yaml: there is no such file",)


def test_the_name_of_a_network_is_printed_only_if_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text('dataset: digits\nnetwork: "a/\\a.yaml"\nmethod: SGD\nprotocol: demo\n')
    with pytest.raises(RecipeError) as caught:
        load_recipe(Path("mine.yaml"))
    assert caught.value.problems == (
        "mine.yaml:2: network: must be the name of a network, not 'a/\\x07.yaml' (asymbp ls networks)",
    )


def test_files_of_networks_and_protocols_may_be_in_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Path("home").mkdir()
    Path("home/tiny.yaml").write_text(TINY)
    Path("home/slow.yaml").write_text("epochs: 7\n")
    Path("mine.yaml").write_text("dataset: digits\nnetwork: ~/tiny.yaml\nmethod: SGD\nprotocol: ~/slow.yaml\n")
    recipe = load_recipe(Path("mine.yaml"))
    assert recipe.networks == (load_network(Path("home/tiny.yaml")).network,)
    assert recipe.protocol.epochs == 7


def test_a_network_of_vectors_takes_no_images() -> None:
    with pytest.raises(NetworkError, match="the network takes vectors of 1845, but photos holds images"):
        input_shape(NETWORKS["timit"], FolderSource(folder="photos"))
    message = "the network takes images, but timit holds vectors of 1845. Use input: 1845"
    with pytest.raises(NetworkError, match=re.escape(message)):
        input_shape(NETWORKS["large"], "timit")
    with pytest.raises(NetworkError, match="the network takes vectors of 7, but timit holds vectors of 1845"):
        input_shape(Network(input=(7,), layers=("FC classes",)), "timit")
    with pytest.raises(NetworkError, match="images have 1 or 3 channels, not 5"):
        input_shape(Network(input=(8, 8, 5), layers=("FC classes",)), "mnist")
    assert input_shape(NETWORKS["timit"], "timit") == (1845,)
    assert input_shape(NETWORKS["cifar"], "cifar10") == (32, 32, 3)


def test_the_name_of_a_network_s_file_may_have_capitals(tmp_path: Path) -> None:
    (tmp_path / "MyNet.yaml").write_text(TINY)
    assert list(load_networks(tmp_path)) == ["mynet"]


def test_a_network_of_many_weights_for_many_classes_is_taken_for_few(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    text = "dataset: ./photos\nnetwork: {input: 400x400x3, layers: [FC classes]}\nmethod: SGD\nprotocol: demo\n"
    (tmp_path / "big.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "big.yaml")
    (network,) = recipe.networks
    assert network.resolve(3).parameter_count() == 3 * (400 * 400 * 3 + 1)
