"""Recipes and protocols as users write them: what they mean, what is wrong with them, and back to YAML."""

import subprocess
import sys
from pathlib import Path

import pytest
from written_recipes import PAPER, PROTOCOLS, load, plain, problems

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.recipe import load_recipe, resolved_yaml
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.yamlfile import read_yaml
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol

EXAMPLES = sorted((recipes_directory() / "examples").rglob("*.yaml"))


def stem(file: Path) -> str:
    return file.stem


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_plain_recipe() -> None:
    recipe = plain()
    assert (recipe.name, recipe.title, recipe.networks, recipe.seeds) == ("mine", None, (), (0,))
    assert recipe.datasets == ("digits",)
    assert (recipe.protocol, recipe.protocol_label) == (PAPER.model_copy(update={"epochs": 20}), "demo")
    (entry,) = recipe.methods
    assert entry.label == "uSF"
    assert entry.procedure == Procedure(method=parse_method("uSF"), protocol=recipe.protocol)


def test_examples_are_found() -> None:
    assert len(EXAMPLES) >= 5
    assert {file.stem for file in PROTOCOLS} == {
        *(
            "akrout2019",
            "biotorch2021",
            "ccl2024",
            "demo",
            "matconvnet",
            "matconvnet-quick",
            "paper",
            "pfa2024",
            "quick",
        ),
    }


@pytest.mark.parametrize("file", EXAMPLES, ids=stem)
def test_an_example_validates_without_its_data_and_comes_back_from_its_resolved_form(file: Path) -> None:
    recipe = load_recipe(file)
    again = Path(file.name)
    again.write_text(resolved_yaml(recipe))
    assert load_recipe(again) == recipe


def test_a_resolved_recipe_names_every_default() -> None:
    recipe = load(
        "title: '1e3'\ndataset: [digits, {folder: a/b, label: 'on'}]\nnetwork: digits\nseed: [3, 1]\n"
        "method: [SGD, {label: '010', feedback: {scheme: rndf, sigma: 0.1}, protocol: {momentum: 0}}]\n"
        "protocol: {extends: quick, base_rate: 1e-5, batch_size: [{from_epoch: 1, size: 9}]}\n"
    )
    Path("mine.yaml").write_text(resolved_yaml(recipe))
    assert load_recipe(Path("mine.yaml")) == recipe
    data = read_yaml(Path("mine.yaml")).data
    assert set(data["protocol"]) == {"extends", *Protocol.model_fields}
    assert data["protocol"]["extends"] == "quick"
    assert {"label", "feedback", "batch_norm", "update", "train"} <= set(data["method"][0])
    assert data["method"][1]["protocol"] == {"momentum": 0.0}


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ("feedback: usf", "uSF"),
        ("feedback: USF\nbatch_norm: plain\nupdate: bm", "uSF+BN+BM"),
        ("feedback: {scheme: brsf, flip_probability: 0.25}\nbatch_norm: plain\nupdate: bm1", "brSF-25%+BN+BM"),
        ("feedback: {scheme: frSF-p, flip_probability: 1}", "frSF-100%"),
        ("feedback: {scheme: brsf-p, flip_probability: 0}", "brSF"),
        ("batch_norm: learnable", "BN"),
        ("update: bm3\ntrain: top", "BM3 Top"),
        ("train: all", "SGD"),
    ],
)
def test_a_method_spelled_out_is_the_method_of_that_name(keys: str, name: str) -> None:
    (entry,) = load(f"dataset: digits\n{keys}\nprotocol: demo\n").methods
    assert entry.procedure.method == parse_method(name)
    assert entry.label == name


def test_a_list_of_methods_may_hold_mappings_with_their_own_protocol() -> None:
    recipe = plain(
        method="[bm1, {method: uSF, protocol: {epochs: 3}}, {label: mine, feedback: rndf, protocol: {epochs: 20}}]"
    )
    assert [entry.label for entry in recipe.methods] == ["BM", "uSF with epochs=3", "mine"]
    assert [entry.procedure.protocol.epochs for entry in recipe.methods] == [20, 3, 20]
    assert recipe.methods[2].procedure.method == parse_method("RndF")


def test_datasets_are_names_paths_and_mappings() -> None:
    Path("photos").mkdir()
    recipe = plain(dataset="[MNIST, Digits, photos, ./mnist, a/b.tar, {folder: c, train_per_class: 3, label: C}]")
    assert recipe.datasets[:2] == ("mnist", "digits")
    folders = [ref.folder for ref in recipe.datasets[2:] if isinstance(ref, FolderSource)]
    assert folders == ["photos", "./mnist", "a/b.tar", "c"]
    assert recipe.datasets[-1] == FolderSource(folder="c", train_per_class=3, label="C")


def test_paths_lead_from_here_or_from_the_recipe() -> None:
    for folder in ("far/photos", "far/mnist", "far/both", "both"):
        Path(folder).mkdir(parents=True)
    Path("far/base.yaml").write_text("epochs: 7\n")
    Path("far/mine.yaml").write_text(
        "dataset: [photos, mnist, both, {folder: photos, seed: 1}]\nmethod: SGD\nprotocol: base.yaml\n"
    )
    recipe = load_recipe(Path("far/mine.yaml"))
    assert recipe.datasets == (
        FolderSource(folder="far/photos"),
        "mnist",
        FolderSource(folder="both"),
        FolderSource(folder="far/photos", seed=1),
    )
    assert (recipe.protocol.epochs, recipe.protocol_label) == (7, "paper with epochs=7")


@pytest.mark.parametrize("size", ["8x8x1", "[8, 8, 1]", '"8x8x1"'])
def test_a_network_of_ones_own(size: str) -> None:
    recipe = plain(network=f"{{input: {size}, layers: [Conv 3x3x4/1, FC classes]}}")
    (network,) = recipe.networks
    assert network.resolve(10).shapes() == ((8, 8, 1), (6, 6, 4), (10,))
    assert plain(network="DIGITS").networks == (NETWORKS["digits"],)


def test_a_folders_number_of_classes_is_not_known_yet() -> None:
    for last in ("FC classes", "FC 17"):
        recipe = plain(dataset="a/b", network=f"{{input: 8x8x3, layers: [Conv 3x3x6/1 groups 3, {last}]}}")
        (network,) = recipe.networks
        network.resolve(17)
    assert "network.layers: layer 1" in problems(
        "dataset: a/b\nmethod: SGD\nprotocol: quick\nnetwork: {input: 8x8x3, layers: [Conv 9x9x6/1, FC 17]}"
    )[0]  # fmt: skip


def test_loading_a_recipe_needs_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from asymbp_cli.recipe.recipe import load_recipe\n"
        f"load_recipe(Path({str(EXAMPLES[0])!r}))\n"
        "assert not {'torch', 'torchvision', 'numpy', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
