"""A user's own images: what is wrong with them is found before training, and numbers lead back to them."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import asymbp_cli as asymbp
from asymbp_cli.cli.app import cli
from asymbp_cli.errors import DataError
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.results.store import Store

SMALL = "{input: 8x8x1, layers: [FC 4, FC classes]}"
RECIPE = f"""dataset: photos
network: {SMALL}
method: [SGD, uSF]
protocol: {{extends: demo, epochs: 1, rate_multipliers: [1]}}
"""


def asymbp_command(line: str) -> Result:
    return CliRunner().invoke(cli, shlex.split(line))


def run(line: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(autouse=True)
def _photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two classes with four images in train, and one with a single one."""
    monkeypatch.chdir(tmp_path)
    for name, count in (("cat", 4), ("dog", 4), ("owl", 1)):
        for split in ("train", "test"):
            folder = Path("photos") / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new(("L", "RGBA")[number % 2], (9 + number, 8)).save(folder / f"{number}.png")
    Path("mine.yaml").write_text(RECIPE)


@pytest.mark.parametrize(
    "line",
    [
        "train mine.yaml",
        "train mine.yaml --dry-run",
        "plan mine.yaml",
        f"reproduce --table 2 --dataset ./photos --protocol demo --network '{SMALL}'",
    ],
)
@pytest.mark.parametrize("is_decoded", [False, True])
def test_a_class_too_small_to_hold_out_is_found_before_training(
    line: str, is_decoded: bool, tmp_path: Path
) -> None:
    cache = f"--cache-dir {tmp_path / 'cache'}"
    if is_decoded:
        run(f"train mine.yaml --quiet --workers 1 --results other {cache}")
    failed = asymbp_command(f"{line} --rule held-out {cache}")
    assert failed.exit_code != 0
    assert isinstance(failed.exception, DataError)
    assert str(failed.exception).startswith('photos: class "owl" has 1 training sample, and holding out needs two')
    assert not Path("results").exists()


def test_the_command_of_a_cell_leads_to_the_images_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run("train ../mine.yaml --quiet --workers 1 --set dataset=../photos --results ../results")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").rmdir()
    commands = [json.loads(line)["cells"][0]["command"] for line in run("show --table mine --json").splitlines()]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "asymbp"
        run(shlex.join([*words, "--quiet", "--workers", "1", "--results", str(tmp_path / "results")]))
    with Store.open(tmp_path / "results", create=False) as store:
        assert len(store.finished_ids()) == len(commands) == 2
        assert {row.folder.folder for grid in store.grids() for row in grid.rows if row.folder} == {
            str((tmp_path / "photos").resolve())
        }


GREY = "photos: colour images are read in grey, since the network has one channel"


@pytest.mark.parametrize(
    ("mode", "form", "note"),
    [
        ("RGB", "8x8x1", GREY),
        ("L", "8x8x3", "photos: grey images fill three equal channels"),
        ("RGB", "8x8x3", ""),
    ],
)
def test_what_becomes_of_colours_is_said_wherever_one_looks(mode: str, form: str, note: str) -> None:
    for file in Path("photos").rglob("*.png"):
        Image.new(mode, (9, 8)).save(file)
    line = f"mine.yaml --set network.input={form}"
    said = {
        command: asymbp_command(f"{command} {line}").stderr
        for command in ("train --dry-run", "plan", "train --workers 1", "train --workers 1 --json", "train")
    }
    counts = [text.count(note or "channel") for text in said.values()]
    assert counts == ([1, 1, 1, 0, 0] if note else [0] * 5)  # the last one trains nothing
    assert (note.partition(": ")[2] or "photos") in run("report")
    assert ("channel" in run("report")) == bool(note)


def test_a_network_of_another_dataset_changes_colours_too() -> None:
    assert (
        "digits: grey images fill three equal"
        in asymbp_command("train usf-digits --set network=cifar --dry-run").stderr
    )
    assert "grey" not in asymbp_command("train usf-digits --dry-run").stderr


def test_a_table_takes_another_network() -> None:
    """Named, in a file, written out; the paper's numbers are of its own networks."""
    Path("small.yaml").write_text("input: 8x8x1\nlayers: [FC 4, FC classes]\n")
    line = "reproduce --table 4 --dataset ./photos --dataset digits --protocol demo --dry-run --json"
    for network in ("mnist", "./small.yaml", SMALL):
        plan = json.loads(run(f"{line} --network '{network}'"))
        rows = {row["network"] for table in plan["tables"] for row in table["rows"]}
        assert rows == ({"network mnist"} if network == "mnist" else {"8x8x1, FC 4, FC 3", "8x8x1, FC 4, FC 10"})
    line = "plan --table 2 --dataset digits --json"
    assert json.loads(run(line)) != json.loads(run(f"{line} --network mnist"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--set network=mnist", "--set network=mnist: here only .*; --network names a network"),
        ("--network mnst", '^"mnst" is not a network. Did you mean "mnist"?'),
        ("--network ./none.yaml", "^none.yaml: there is no such file"),
        ("--network '{input: 8x8x1, layers: [FC]}'", '"FC" is not a layer'),
        ("--network timit", "the network takes vectors of 1845, but digits holds images"),
    ],
)
def test_what_is_no_network_is_said(option: str, message: str) -> None:
    failed = asymbp_command(f"reproduce --table 2 --dry-run {option}")
    assert isinstance(failed.exception, asymbp.AsymbpError)
    assert re.search(message, str(failed.exception))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train mine.yaml --set dataset=./phtoos", 'phtoos does not exist. Did you mean "./photos"? Write'),
        ("train mine.yaml --set dataset=phtoos", '"phtoos" is not a dataset, nor a folder or archive. Did you'),
        ("data check ./phtoos", 'phtoos does not exist. Did you mean "./photos"? Write'),
        (
            "train mine.yaml --set dataset=cifar10 --set network=cifar --data-dir ./phtoos",
            'is not in phtoos. Did you mean "./photos"? Put there',
        ),
        ("train mien.yaml", 'mien.yaml: there is no such file. Did you mean "./mine.yaml"?'),
        ("train mine.yaml --plugin rulse.py", 'rulse.py: No such file or directory. Did you mean "./rules.py"?'),
        ("report --results resutls", 'there are no results in resutls/. Did you mean "./results"? Train'),
        ("store merge resutls", 'there is no file or directory resutls. Did you mean "./results"? Name'),
    ],
)
def test_a_mistyped_path_is_told_the_nearest_one(line: str, message: str) -> None:
    Path("rules.py").touch()
    Path("results").mkdir()
    Path("results", FILE_NAME).write_text("stands for results")
    assert message in str(asymbp_command(line).exception)


def test_python_names_a_network_too(tmp_path: Path) -> None:
    table = tmp_path / "two.yaml"
    table.write_text("title: Two\ncolumns: [SGD, uSF]\n")
    small = {"input": "8x8x1", "layers": ["FC 4", "FC classes"]}
    results = asymbp.reproduce(
        table,
        tmp_path / "photos",
        network=small,
        protocol={"extends": "demo", "epochs": 1, "rate_multipliers": [1]},
        workers=1,
    )
    (row,) = results.table.filled.grid.rows
    assert row.network == NETWORKS["digits"].model_copy(update={"layers": ("FC 4", "FC 3")})
    with pytest.raises(asymbp.AsymbpError, match=r'network.layers\[0\]: "FC" is not a layer'):
        asymbp.reproduce(table, network={**small, "layers": ["FC", "FC classes"]})
    with pytest.raises(asymbp.AsymbpError, match="network is a name, a path or a mapping, not 3"):
        asymbp.reproduce(table, network=3)  # type: ignore[arg-type]
