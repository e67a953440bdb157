"""Mistakes on the command line and in files: one message, exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from commands import ROOT, TINY, invoke, recipe, run

from asymbp_cli.cli import app
from asymbp_cli.errors import DeviceError

BAD = {
    "scheme": ({"method": None, "feedback": "usff"}, 'feedback: "usff" is not a scheme. Did you mean "usf"?'),
    "method": ({"method": "uSF+BM+BM"}, 'method: "uSF+BM+BM" is not a method.'),
    "dataset": (
        {"dataset": "mnits"},
        'dataset: "mnits" is not a dataset, nor a folder or archive. Did you mean "mnist"?',
    ),
    "network": ({"network": "cifr"}, 'network: "cifr" is not a network. Did you mean "cifar"?'),
    "key": ({"protocl": "demo"}, 'protocl: unknown key. Did you mean "protocol"?'),
    "inner key": (
        {"protocol": {"extends": "demo", "epoch": 3}},
        'protocol.epoch: unknown key. Did you mean "epochs"?',
    ),
    "type": (
        {"protocol": {"extends": "demo", "epochs": "three"}},
        'protocol.epochs: must be a whole number, not "three"',
    ),
    "range": ({"protocol": {"extends": "demo", "momentum": 2}}, "protocol.momentum: must be less than 1, not 2"),
    "too small": (
        {"network": {"input": "8x8x1", "layers": ["Conv 9x9x4/1", "FC classes"]}},
        "layer 1 (Conv 9x9x4/1) does not fit an input of 8x8x1: it is too small",
    ),
    "missing folder": ({"dataset": "./nowhere.tar"}, "nowhere.tar does not exist"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_recipes_get_one_message_and_exit_code_2(case: str, tmp_path: Path) -> None:
    content, message = BAD[case]
    file = recipe(tmp_path, **content)  # type: ignore[arg-type]
    kept = {k: v for k, v in yaml.safe_load(file.read_text()).items() if v is not None}
    file.write_text(yaml.safe_dump(kept))
    done = run("train", "--recipe", "mine.yaml", directory=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], 'no such command "trian". Did you mean "train"?'),
        (["train", "--recipe", "none.yaml"], "none.yaml: there is no such file"),
        (["train", "--recipe", "."], ".: is a folder or archive, not a recipe. Name a YAML file in it"),
        (["reproduce", "--table", "9"], '"9" is not a table'),
        (["reproduce", "--table", "2", "--dataset", "mnist"], "must be given for mnist. Choose quick (5"),
        (["reproduce", "--table", "2", "--protocol", "papr"], 'Did you mean "paper"?'),
        (["reproduce", "--table", "2", "--set", "protocol.epochs=0"], "must be greater than or equal to 1, not 0"),
        (["reproduce", "--table", "2", "--set", "epochs=3"], "only protocol.KEY=VALUE"),
        (
            ["reproduce", "--table", "2", "--rule", "held-out", "--set", "protocol.validation_fraction=0"],
            "--rule held-out contradicts --set protocol.validation_fraction=0. Leave one of them out",
        ),
        (
            ["reproduce", "--table", "2", "--rule", "paper", "--set", "protocol.validation_fraction=0.5"],
            "--rule paper contradicts --set protocol.validation_fraction=0.5. Leave one of them out",
        ),
        (["reproduce", "--table", "2", "--device", "cpu,cuda:0"], '"cpu,cuda:0" mixes kinds of devices'),
        (["reproduce", "--table", "2", "--attempts", "0"], "Invalid value for '--attempts'"),
        (["reproduce", "--table", "2", "--device", "tpu"], '"tpu" is not a device; there are cpu, cuda'),
        (["reproduce", "--table", "2", "--workers", str(10**20)], "is not in the range 1<=x<=10000"),
        (["reproduce", "--table", "2", "--results", "file"], "file is a file, not a directory"),
        (
            ["reproduce", "--table", "2", "--dataset", "mnist", "--protocol", "quick", "--data-dir", "."],
            "--download",
        ),
        (["report"], "there are no results in results/"),
        (["compare", "", "quick"], "Invalid value for 'A': it is empty, perhaps from a variable that is not set"),
        (["show", "abc"], "there are no results in results/"),
        (["ls", "everything"], "everything"),
        (
            ["init", "."],
            ". is a folder, and FILE is the recipe to write. If it holds images: asymbp init my.y",
        ),
        (
            ["data", "fetch", "."],
            '"." is a folder or file of yours. Name a dataset of the tool (asymbp ls data',
        ),
        (
            ["reproduce", "--table", "{dataset: digits, method: SGD, protocol: demo}"],
            "{...}: is a recipe, not a table. Train it with asymbp train '{dataset: digits, method: SGD, ",
        ),
    ],
)
def test_bad_commands_get_one_message_and_exit_code_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    done = run(*arguments, directory=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_deleted_working_directory_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os; os.rmdir(os.getcwd()); import sys; sys.argv = ['asymbp', 'ls', 'recipes']\n"
    code += "from asymbp_cli.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=gone,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stderr == "asymbp: the working directory was deleted. Change to another one\n"


def test_what_click_refuses_is_said_as_everything_else(tmp_path: Path) -> None:
    done = run("reproduce", "--table", "2", "--workers", "0", directory=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("asymbp: Invalid value for '--workers'")
    assert done.stderr.rstrip().endswith("(asymbp reproduce --help)")


@pytest.mark.parametrize(("option", "kind"), [("--workers", "whole number"), ("--gpus-per-worker", "number")])
def test_what_is_no_number_is_said_in_plain_words(
    option: str, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["asymbp", "reproduce", option, "two"])
    assert app._run() == 2
    assert f"'{option}': 'two' is not a {kind}. (asymbp reproduce --help)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("reproduce --table 2 --epochs 3", "No such option '--epochs'. Write --set protocol.epochs=VALUE (asymbp"),
        ("train mine.yaml --batch-size=3", " Write --set protocol.batch_size=VALUE (asymbp train --help)"),
        (
            "train usf-digits --dataset fruit.zip",
            "No such option '--dataset'. It is a key of recipes. Write --set dataset=VALUE (asymbp",
        ),
        ("report --epochs 3", "No such option '--epochs'. (asymbp report --help)"),
        ("train mine.yaml --epoch 3", "No such option '--epoch'. (asymbp train --help)"),
        (
            "train --table 2",
            "No such option '--table'. It belongs to asymbp reproduce, plan, report (asymbp train",
        ),
        ("--json report", "'--json'. Write it after the command: asymbp reproduce --json ... (asymbp --help)"),
        ("--verison", "'--verison'. Did you mean '--version'? (asymbp --help)"),
        (
            "reproduce --table 2 --method uSF",
            "It is a key of recipes. Write one: asymbp init mine.yaml (asymbp",
        ),
        (
            "train mine.yaml --network mnist",
            "It is a key of recipes. Write --set network=VALUE (asymbp",
        ),
        ("report out.html", "extra argument (out.html). Write --output out.html (asymbp report --help)"),
        ("ls methods uSF", "Got unexpected extra argument (uSF) (asymbp ls --help)"),
    ],
)
def test_what_a_command_does_not_take_is_said_with_what_to_type_instead(
    line: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["asymbp", *line.split()])
    assert app._run() == 2
    assert said in capsys.readouterr().err


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["reproduce", "--table", "2", "--dataset", LONG, "--protocol", "demo"],
        ["reproduce", "--table", "2", "--dataset", "~nobody-of-that-name/x", "--protocol", "demo"],
        ["reproduce", "--table", "2", "--dataset", "./\udcff", "--protocol", "demo"],
        ["reproduce", "--table", "2", "--dataset", "folder:a\nb", "--protocol", "demo"],
        ["reproduce", "--table", "2", "--protocol", f"{LONG}.yaml"],
        ["reproduce", "--table", "2", "--protocol", "./\udcff.yaml"],
        ["reproduce", "--table", "2", "--protocol", "~nobody-of-that-name/x.yaml"],
        ["reproduce", "--table", "2", "--results", LONG],
        ["reproduce", "--table", "2", "--dataset", "mnist", "--protocol", "quick", "--data-dir", LONG],
        ["report", "--results", LONG],
        ["show", "\udcff"],
        ["validate", "\udcff.yaml"],
        ["reproduce", "--table", "2", "--set", "protocol.phases=[{share: 1e308, factor: 1}]"],
        ["compare", LONG, LONG],
    ],
)
def test_names_that_nothing_can_have_are_said(arguments: list[str], tmp_path: Path) -> None:
    done = run(*arguments, directory=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("asymbp: ")


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "\ud800", " "])
@pytest.mark.parametrize("key", ["title", "label"])
def test_text_that_would_steer_the_terminal_is_refused(key: str, text: str, tmp_path: Path) -> None:
    content = {"title": text} if key == "title" else {"method": [{"method": "SGD", "label": text}]}
    (tmp_path / "mine.yaml").write_text(
        json.dumps({"dataset": "digits", "method": "SGD", "protocol": "demo"} | content)
    )
    done = run("validate", "mine.yaml", directory=tmp_path)
    assert done.returncode == 2
    assert "must be text on one line" in done.stderr
    assert "\x1b" not in done.stderr


def test_results_in_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    done = run("reproduce", "--table", "5", *TINY, "--results", "r\udcff", "--quiet", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    report = run("report", "--results", "r\udcff", directory=tmp_path)
    assert "--results" in report.stdout


def test_a_network_that_no_memory_holds_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: ...")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("asymbp_cli.training.engine.Bank", refuse)
    done = invoke("train", "--recipe", str(recipe(tmp_path)))
    assert isinstance(done.exception, DeviceError)
    assert "13,706 weights at batch size 100 needs more memory than there is" in str(done.exception)
    monkeypatch.setattr("asymbp_cli.training.engine.Bank", lambda *_, **__: 1 / 0)
    assert isinstance(invoke("train", "--recipe", "mine.yaml").exception, ZeroDivisionError)


def test_a_value_that_is_set_wins_over_the_rules(tmp_path: Path) -> None:
    asked = ("--rule", "held-out", "--set", "protocol.validation_fraction=0.3", "--dry-run")
    done = run("reproduce", "--table", "5", *asked, directory=tmp_path)
    assert "validation_fraction=0.3" in done.stdout
    assert "0.1" not in done.stdout


@pytest.mark.parametrize("bad", [("--dataset", "mnits"), ("--protocol", "pape"), ("--set", "x=y")])
def test_table_1_refuses_what_the_others_refuse(bad: tuple[str, str], tmp_path: Path) -> None:
    done = run("reproduce", "--table", "1", *bad, directory=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cpu:7", "there is one cpu. Write cpu. How many cores train at once says --workers"),
        ("mps:1", "there is one mps. Write mps"),
        ("cuda:\u0663", "is not a device; there are cpu, cuda, cuda:1"),
    ],
)
def test_devices_that_nothing_is(device: str, said: str, tmp_path: Path) -> None:
    done = run("bench", "--device", device, directory=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_protocol_that_is_nearly_named_is_suggested(tmp_path: Path) -> None:
    assert run("train", "--recipe", str(recipe(tmp_path)), *TINY, directory=tmp_path).returncode == 0
    done = run("compare", "demo with epochs=1", "results", directory=tmp_path)
    assert done.returncode == 2
    assert 'Did you mean "demo with' in done.stderr
