"""Recipes and protocols as users write them: what they mean, what is wrong with them, and back to YAML."""

import subprocess
import sys
from pathlib import Path

import pytest

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.errors import RecipeError, UsageError
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import Recipe, load_recipe, resolved_yaml
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.yamlfile import read_yaml
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol

EXAMPLES = sorted((recipes_directory() / "examples").rglob("*.yaml"))
PROTOCOLS = sorted((recipes_directory() / "protocols").rglob("*.yaml"))


PAPER = Protocol(batch_norm_short_epochs="cycle")
PLAIN = {"dataset": "digits", "method": "uSF", "protocol": "demo"}


def stem(file: Path) -> str:
    return file.stem


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str, *overrides: str) -> Recipe:
    """Return the recipe in a file of that text."""
    Path("mine.yaml").write_text(text)
    return load_recipe(Path("mine.yaml"), overrides)


def plain(*overrides: str, **changes: str | None) -> Recipe:
    """Return a plain recipe with lines changed (YAML), or left out (None)."""
    lines = {key: value for key, value in (PLAIN | changes).items() if value is not None}
    return load("".join(f"{key}: {value}\n" for key, value in lines.items()), *overrides)


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(text, *overrides)
    return list(caught.value.problems)


def test_a_plain_recipe() -> None:
    recipe = plain()
    assert (recipe.name, recipe.title, recipe.network, recipe.seeds) == ("mine", None, None, (0,))
    assert recipe.datasets == ("digits",)
    assert (recipe.protocol, recipe.protocol_label) == (PAPER.model_copy(update={"epochs": 20}), "demo")
    (entry,) = recipe.methods
    assert entry.label == "uSF"
    assert entry.procedure == Procedure(method=parse_method("uSF"), protocol=recipe.protocol)


def test_examples_are_found() -> None:
    assert len(EXAMPLES) >= 5
    assert {file.stem for file in PROTOCOLS} == {
        *("akrout2019", "demo", "matconvnet", "matconvnet-quick", "paper", "pfa2024", "quick"),
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
    assert recipe.network
    assert recipe.network.resolve(10).shapes() == ((8, 8, 1), (6, 6, 4), (10,))
    assert plain(network="DIGITS").network == NETWORKS["digits"]


def test_a_folders_number_of_classes_is_not_known_yet() -> None:
    for last in ("FC classes", "FC 17"):
        recipe = plain(dataset="a/b", network=f"{{input: 8x8x3, layers: [Conv 3x3x6/1 groups 3, {last}]}}")
        assert recipe.network
        recipe.network.resolve(17)
    assert "network.layers: layer 1" in problems(
        "dataset: a/b\nmethod: SGD\nprotocol: quick\nnetwork: {input: 8x8x3, layers: [Conv 9x9x6/1, FC 17]}"
    )[0]  # fmt: skip


def test_every_dataset_that_a_network_does_not_fit_is_named() -> None:
    takes = "mine.yaml:4: network: the network takes vectors of 1845, but"
    assert problems("dataset: [timit, digits, photos/a]\nmethod: SGD\nprotocol: quick\nnetwork: timit") == [
        f"{takes} digits holds images. Use an input like 8x8x1",
        f"{takes} photos/a holds images. Use an input like 8x8x1",
    ]
    layers = "{input: 8x8x1, layers: [FC classes]}"
    assert problems(f"dataset: timit\nmethod: SGD\nprotocol: quick\nnetwork: {layers}") == [
        "mine.yaml:4: network.input: the network takes images, but timit holds vectors of 1845. Use input: 1845"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "dataset: dgits",
            '1: dataset: "dgits" is not a dataset, nor a folder or archive. Did you mean "digits"?',
        ),
        ("dataset: [digits, Digits]", "1: dataset[1]: is named twice. Leave one out"),
        ("dataset: []", "1: dataset: must name at least one dataset (asymbp ls datasets)"),
        ("dataset: ''", '1: dataset: "" is not a dataset, nor a folder or archive.'),
        ("dataset: 3", "1: dataset: must be a name, a path or a mapping with folder, not 3"),
        (
            "dataset: {folder: a, tran_per_class: 3}",
            '1: dataset.tran_per_class: unknown key. Did you mean "train_per_class"?',
        ),
        (
            "dataset: {folder: a, test_fraction: 0.2, test_per_class: 3}",
            "1: dataset: test_fraction excludes train_per_class",
        ),
        ("network: cifr", '1: network: "cifr" is not a network. Did you mean "cifar"? (asymbp ls networks)'),
        ("network: timit", "1: network: the network takes vectors of 1845, but digits holds images. Use"),
        ("network: {input: 8*8, layers: [FC classes]}", '1: network.input: "8*8": write it like 28x28x1'),
        (
            "network: {input: 8x8, layers: [FC classes]}",
            "1: network.input: input 8x8 has no channels; write 8x8x1",
        ),
        ("network: {input: 8x8x5, layers: [FC classes]}", "1: network.input: images have 1 or 3 channels, not 5"),
        (
            "network:\n  input: 8x8x1\n  layers:\n  - FC 5\n  - Cnv 3\n  - FC classes",
            '5: network.layers[1]: "Cnv 3" is not a layer; write it like Conv',
        ),
        (
            "network:\n  input: 8x8x1\n  layers: [Conv 9x9x4/1, FC classes]",
            "3: network.layers: layer 1 (Conv 9x9x4/1) does not fit an input of 8x8x1",
        ),
        (
            "network: {input: 8x8x1, layers: [FC max(64, 2*classes), FC classes]}",
            '"FC max(64" is cut at a comma; inside [...] put the layer in quotes',
        ),
        ("network: {input: 8x8x1, layer: [FC classes]}", '1: network.layer: unknown key. Did you mean "layers"?'),
        (
            "network: {input: 8x8x1, layers: [FC 11]}",
            "1: network.layers: the last layer must be FC classes (here 10",
        ),
        (
            "method: uSFF",
            '1: method: "uSFF" is not a method. Did you mean "uSF"? If a plugin defines it, add --plugin FILE',
        ),
        ("method: []", "1: method: must name at least one method (asymbp ls methods)"),
        ("method: [SGD, BP]", '1: method: two methods are called "SGD". Give one of them a label'),
        ("method: [{label: x}, {lable: x}]", '1: method[1].lable: unknown key. Did you mean "label"?'),
        ("method: {method: uSF, feedback: usf}", "1: method: has both method and feedback. Leave one out"),
        (
            "method: {method: uSF, protocol: {resize: crop}}",
            "1: method.protocol.resize: must be the same for all methods",
        ),
        (
            "method: {method: uSF, protocol: {validation_fraction: 0.1}}",
            "1: method.protocol.validation_fraction: must be the same",
        ),
        (
            "method: {method: uSF, protocol: quick}",
            "1: method.protocol: must be a mapping of the values that differ",
        ),
        (
            "feedback: usf\nupdate: bm",
            "1: feedback: method and feedback, update exclude each other. Leave one side out",
        ),
        (
            "method:\nfeedback: usff",
            '2: feedback: "usff" is not a scheme. Did you mean "usf"? If a plugin defines it, add --plugin FILE',
        ),
        (
            "method:\nfeedback:\n  scheme: usff",
            '3: feedback.scheme: "usff" is not a scheme. Did you mean "usf"? If a plugin defines it, add',
        ),
        (
            "method:\nfeedback: 3",
            "2: feedback: must be the name of a scheme, or a mapping with one (asymbp ls schemes)",
        ),
        (
            "method:\nfeedback: brSF-p",
            "2: feedback: brSF-p needs its probability. Write {scheme: brsf, flip_probability: 0.25}",
        ),
        (
            "method:\nfeedback: {scheme: usf, flip_probability: 0.5}",
            "2: feedback.flip_probability: belongs to brsf and frsf, not to usf",
        ),
        (
            "method:\nfeedback: {scheme: brsf, flip_probability: 2}",
            "2: feedback.flip_probability: must be less than or equal to 1, not 2",
        ),
        ("method:\nupdate: bm4", '2: update: "bm4" is not one of sgd, bm1, bm2, bm3.'),
        (
            "method:\nbatch_norm: on",
            '2: batch_norm: "on" is not one of none, plain, learnable.',
        ),
        (
            "protocol: dmo",
            '1: protocol: "dmo" is not a protocol; there are akrout2019, demo, matconvnet, matconvnet-quick, '
            "paper, pfa2024, quick, or the path of a file.",
        ),
        ("protocol: {extends: dmo, epohcs: 3}", '1: protocol.epohcs: unknown key. Did you mean "epochs"?'),
        ("protocol: [demo]", "1: protocol: must be a name or a mapping, not a list"),
        ("protocol: {extends: 3}", "1: protocol.extends: must be the name of a protocol, not 3"),
        ("protocol: {epochs: 2.5}", "1: protocol.epochs: must be a whole number, not 2.5"),
        ("protocol: {decay_biases: yes}", '1: protocol.decay_biases: must be true or false, not "yes"'),
        ("protocol: {rate_multipliers: [1, 1]}", "1: protocol.rate_multipliers: must not name a value twice"),
        (
            "protocol: {batch_size: [{from_epoch: 2, size: 5}]}",
            "1: protocol.batch_size: must begin with from_epoch: 1",
        ),
        ("protocol: {batch_size: abc}", '1: protocol.batch_size: must be a whole number or a list, not "abc"'),
        ("protocol: none.yaml", "none.yaml: there is no such file"),
        ("seed: -1", "1: seed: must be a whole number from 0 on, or a list of different ones, not -1"),
        ("seed: [0, 0]", "1: seed[1]: must be a whole number from 0 on, or a list of different ones"),
        ("seed: true", "1: seed: must be a whole number from 0 on, or a list of different ones, not true"),
        ("title: 3", "1: title: must be text on one line, not 3"),
        ("netwrok: digits", '1: netwrok: unknown key. Did you mean "network"?'),
        ("dataset:", "1: dataset: is missing. Write for instance dataset: digits (asymbp ls datasets)"),
        ("protocol:", "1: protocol: is missing. Write protocol: paper, quick or demo"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_key(text: str, message: str) -> None:
    """Each of these lines is put before those lines of a plain recipe that it does not replace."""
    keys = [line.split(":")[0] for line in text.splitlines()]
    if "method:" in text.splitlines():
        text = text.replace("method:\n", "# no name\n", 1)
    rest = [f"{key}: {value}" for key, value in PLAIN.items() if key not in keys]
    messages = problems("\n".join([text, *rest]))
    assert any(message in problem for problem in messages), messages
    assert all("pydantic" not in problem and "\n" not in problem for problem in messages)


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        ("sigma: 0.1", []),
        ("flip_probability: 0.1", []),
        ("sigma: -1", ["must be greater than 0"]),
        (
            "flip_probability: 2, sigma: 0.1, x: 1",
            ["must be less than or equal to 1, not 2"],
        ),  # x may be a plugin's
    ],
)
def test_the_values_of_an_unknown_scheme_are_checked_too(values: str, messages: list[str]) -> None:
    unknown, *others = problems(f"dataset: digits\nprotocol: demo\nfeedback: {{scheme: usff, {values}}}\n")
    assert '"usff" is not a scheme' in unknown
    assert len(others) == len(messages)
    assert all(message in problem for message, problem in zip(messages, others, strict=True))


def test_nothing_at_all_is_three_problems() -> None:
    messages = problems("title: x\n")
    assert [problem.partition(":1: ")[2].split(".")[0] for problem in messages] == [
        "protocol: is missing", "dataset: is missing", "method: is missing"
    ]  # fmt: skip


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = (
        "dataset: dgits\nmethod: uSFF\nprotocol: {extends: demo, epohcs: 010}\nnetwork: mnst\nseed: -1\ntitle: 3\n"
        "foo: 1\ntitle: again\n"
    )
    numbers = [int(problem.split(":")[1]) for problem in problems(text)]
    assert numbers == [1, 2, 3, 3, 4, 5, 6, 7, 8]


def test_an_override_wins_and_its_problems_name_it() -> None:
    recipe = plain("protocol.epochs=3", "protocol.rate_multipliers=[1,0.1]", "dataset=mnist", "seed=[0, 1]")
    assert recipe.datasets == ("mnist",)
    assert recipe.seeds == (0, 1)
    assert recipe.protocol == PAPER.model_copy(update={"epochs": 3, "rate_multipliers": (1.0, 0.1)})
    assert recipe.protocol_label == "demo with epochs=3, rate_multipliers=[1.0, 0.1]"
    text = "dataset: digits\nmethod: uSF\nprotocol: demo\n"
    assert problems(text, "protocol.epochs=x", "seed=-1") == [
        '--set protocol.epochs: must be a whole number, not "x"',
        "--set seed: must be a whole number from 0 on, or a list of different ones, not -1",
    ]
    assert problems(text, "protocl.epochs=3") == ['--set protocl.epochs: unknown key. Did you mean "protocol"?']
    assert problems(text, "method.label=x") == [
        '--set method.label: method is "uSF", which has no keys. Set method itself'
    ]
    assert plain("feedback.flip_probability=0.5", method=None, feedback="brsf").methods[0].label == "brSF-50%"


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


def test_problems_of_a_protocols_own_file_name_that_file() -> None:
    Path("bad.yaml").write_text("extends: demo\nepohcs: 3\nmomentum: 2\n")
    assert problems("dataset: digits\nmethod: uSF\nprotocol: bad.yaml\nfoo: 1\n")[:2] == [
        'bad.yaml:2: epohcs: unknown key. Did you mean "epochs"?',
        "bad.yaml:3: momentum: must be less than 1, not 2",
    ]
    Path("one.yaml").write_text("extends: ./two.yaml\n")
    Path("two.yaml").write_text("extends: ./one.yaml\n")
    with pytest.raises(RecipeError, match="protocols extend each other in a circle"):
        load_protocol("one.yaml")
    Path("loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(RecipeError, match=r"loop\.yaml: cannot be read: Too many levels of symbolic links"):
        load_protocol("loop.yaml")


def test_loading_a_recipe_needs_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from asymbp_cli.recipe.recipe import load_recipe\n"
        f"load_recipe(Path({str(EXAMPLES[0])!r}))\n"
        "assert not {'torch', 'torchvision', 'numpy', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
