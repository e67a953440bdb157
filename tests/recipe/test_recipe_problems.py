"""What is wrong in a recipe is said with its line and key, all of it at once."""

from pathlib import Path

import pytest
from written_recipes import PAPER, PLAIN, plain, problems

from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.yamlfile import parse_yaml


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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


def test_what_is_advised_in_place_of_milestones_is_right() -> None:
    (problem,) = problems("dataset: digits\nmethod: SGD\nprotocol: {milestones: [50, 75]}")
    before, _, advice = problem.partition(". Write ")
    assert before.endswith("is called phases here: stretches of epochs, each with a factor on the rate")
    protocol, _ = load_protocol(parse_yaml(advice, "").data | {"epochs": 100, "base_rate": 1})
    assert protocol.schedule() == ((50, 1.0), (25, 0.1), (25, 0.01))


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
        ("network: {input: [8, 8, 1, 1], layers: [FC classes]}", "1: network.input: must have at most 3 values"),
        (
            "network: {input: 8x8x1, layers: [Max 2x2/2]}",
            "1: network.layers: the last layer must be FC classes (here 10, one unit per class), not Max 2x2/2",
        ),
        ("network: []", "1: network: must name at least one network (asymbp ls networks)"),
        ("network: [mnist, MNIST]", "1: network[1]: is named twice. Leave one out"),
        ("network: [null]", "1: network[0]: must be a network: a name (asymbp ls networks), a file or a mapping"),
        ("network: [mnist, [mnist]]", "1: network[1]: must be one network. Only a recipe may list several"),
        ("network: [mnist, timit]", "1: network[1]: the network takes vectors of 1845, but digits holds images"),
        (
            "network:\n- mnist\n- input: 8x8x1\n  layers: [Cnv 3]",
            '4: network[1].layers[0]: "Cnv 3" is not a layer',
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
            "method:\nfeedback: {scheme: usf, numbers: 3}",
            "2: feedback.numbers: must be a mapping of names to numbers",
        ),
        (
            "method:\nfeedback: {scheme: brsf, flip_probability: 2}",
            "2: feedback.flip_probability: must be less than or equal to 1, not 2",
        ),
        ("method:\nupdate: bm4", '2: update: "bm4" is not one of sgd, bm1, bm2, bm3, adam.'),
        (
            "method:\nbatch_norm: on",
            '2: batch_norm: "on" is not one of none, plain, learnable.',
        ),
        (
            "protocol: dmo",
            '1: protocol: "dmo" is not a protocol; there are akrout2019, biotorch2021, ccl2024, demo, matconvnet, '
            "matconvnet-quick, paper, pfa2024, quick, or the path of a file.",
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
        ("protocol: {batch_size: abc}", "1: protocol.batch_size: must be a whole number or a list of mappings"),
        (
            "protocol: {phases: [50, 25]}",
            "1: protocol.phases[1]: must be a mapping with share, factor, decay,",
        ),
        (
            "gamma: 0.1",
            "1: gamma: belongs in protocol. Write protocol: {extends: demo, phases: [{share: 2,",
        ),
        ("protocol: {init: xavier}", "1: protocol.init: is called initialization here: glorot-normal, glorot-"),
        ("protocol: {max_grad_norm: 1}", "is called gradient_clip here. Write gradient_clip: 1"),
        ("protocol: {beta1: 0.5}", "1: protocol.beta1: is called momentum here. Write momentum: 0.5"),
        (
            "protocol: {betas: [0.9, 0.99]}",
            "betas: those of Adam are momentum and adam_beta2 of the protocol. Delete",
        ),
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


def test_a_size_that_is_wrong_is_not_missing_too() -> None:
    assert problems("dataset: digits\nprotocol: demo\nmethod: SGD\nnetwork: {input: 0, layers: [FC classes]}") == [
        "mine.yaml:4: network.input: must be greater than or equal to 1, not 0"
    ]


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
