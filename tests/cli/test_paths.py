"""`~` means the home directory in whatever takes a path: options, arguments, variables, recipes."""

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
import small_study
from click.testing import CliRunner
from test_docs import CONTEXTS

from asymbp_cli.cli import app
from asymbp_cli.cli.options import UserPath
from asymbp_cli.errors import AsymbpError, UsageError
from asymbp_cli.files.paths import expand_home, shorten_path
from asymbp_cli.recipe.resources import recipes_directory

PACKAGE = Path(app.__file__).parent.parent
PARAMETERS = {
    (path, parameter.name): parameter for path, context in CONTEXTS.items() for parameter in context.command.params
}
#: text that is a path or may hold one, in all commands; each has a command in COMMANDS
TAKE_PATHS = {
    *("table", "tables", "names", "protocol", "overrides", "first", "second", "name", "logs", "executor", "steps"),
    *("named", "recipes", "files", "source", "network"),
}
#: text that names something else; these take names of the catalog alone
_OF_CATALOG = {
    *(("asymbp data fetch", "names"), ("asymbp bench checks", "dataset"), ("asymbp bench measures", "dataset")),
}
_OF_CLUSTERS = {"devices", "shard", "partition", "time", "address", "cluster"}
_OF_RESULTS = {"keys", "protocols", "datasets", "rows", "columns", "run"}
TAKE_NAMES = {"title", "device", *_OF_RESULTS, *_OF_CATALOG, *_OF_CLUSTERS}

TINY = "protocol: {extends: ~/base.yaml, rate_multipliers: [1], weight_decay: 0}"
#: with the home directory of `home`
COMMANDS = [
    "init - --from ~/pets",
    "data show ~/pets --data-dir ~ --images ~/new/sheet.png",
    "data check ~/pets folder:~/pets --data-dir=~",
    "train ~/all.yaml --results ~/new/res --cache-dir ~/new/cache --workers 1 --quiet",
    "init ~/new/mine.yaml --from ~/all.yaml",
    "validate ~/all.yaml --set dataset=~/pets --set network=~/net.yaml --set protocol=~/base.yaml",
    "train --recipe ~/all.yaml --results ~/new/res --data-dir ~ --cache-dir ~/new/cache --dry-run",
    "train --recipe ~/all.yaml --results ~/new/res --cache-dir ~/new/cache --workers 1 --quiet",
    "reproduce --table ~/table.yaml --dataset ~/pets --network ~/net.yaml --protocol ~/base.yaml --dry-run",
    "reproduce --table ~/table.yaml --dataset ~/pets --protocol ~/base.yaml --executor ~/executor.yaml --dry-run",
    "plan --table ~/table.yaml --dataset ~/pets --protocol ~/base.yaml --step-seconds ~/steps.csv --results ~/res",
    "plan --recipe ~/all.yaml --step-seconds ~/steps.csv --results ~/res",
    "ls runs --results ~/res",
    "show  --results ~/res",
    "report --results ~/res --output ~/new/report.md",
    "compare ~/res ~/res:quick",
    "compare quick quick --results ~/res",
    "store export ~/new/res.jsonl.xz --results ~/res",
    "store merge ~/res --results ~/new/other",
    "data where --data-dir ~ --cache-dir ~/new/cache",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home directory with images, recipes and results; the working directory is another one."""
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(elsewhere)
    for number in range(8):
        make_image(home / f"pets/{'cat' if number % 2 else 'dog'}/{number}.png", 20 * number)
    (home / "net.yaml").write_text("input: 8x8x1\nlayers: [FC 4, FC classes]\n")
    (home / "base.yaml").write_text("extends: quick\nepochs: 1\n")
    (home / "all.yaml").write_text(f"dataset: ~/pets\nnetwork: ~/net.yaml\nmethod: SGD\n{TINY}\n")
    (home / "table.yaml").write_text("title: Mine\ncolumns: [SGD]\n")
    (home / "executor.yaml").write_text("executor: processes\n")
    (home / "steps.csv").write_bytes((recipes_directory() / "results" / "steps-h100.csv").read_bytes())
    small_study.train(home / "res", small_study.grid("SGD").model_copy(update={"protocol_label": "quick"}))
    return home


def make_image(file: Path, value: int) -> None:
    from PIL import Image

    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(file)


def test_every_parameter_that_takes_a_path_expands_it() -> None:
    kinds = {key: type(parameter.type) for key, parameter in PARAMETERS.items()}
    paths = {key for key, kind in kinds.items() if issubclass(kind, click.Path)}
    assert len(paths) > 15
    assert {key for key in paths if not issubclass(kinds[key], UserPath)} == set()
    assert not [key for key, kind in kinds.items() if issubclass(kind, click.File)]
    texts = {key for key, kind in kinds.items() if issubclass(kind, click.types.StringParamType)}
    assert [key for key in texts if key[1] not in TAKE_PATHS | TAKE_NAMES and key not in TAKE_NAMES] == []


@pytest.mark.parametrize("line", COMMANDS)
def test_a_tilde_is_the_home_directory(line: str, home: Path, tmp_path: Path) -> None:
    words = [word or next(iter(small_study.numbers(home / "res"))) for word in line.split(" ")]
    done = CliRunner().invoke(app.cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert list((tmp_path / "elsewhere").iterdir()) == []
    if "~/new/" in line and "--dry-run" not in line and "where" not in line:
        assert (home / "new").exists()


@pytest.mark.parametrize(
    "variable",
    sorted(set(re.findall(r'"(ASYMBP_\w+)"', "".join(file.read_text() for file in PACKAGE.rglob("*.py"))))),
)
def test_a_tilde_in_a_variable_is_the_home_directory(
    variable: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "~/there")
    done = CliRunner().invoke(app.cli, ["data", "where"], catch_exceptions=False)
    assert f" {home}/there " in done.output
    monkeypatch.setenv(variable, "~nobody-at-all/there")
    failed = CliRunner().invoke(app.cli, ["data", "where"])
    assert isinstance(failed.exception, AsymbpError)
    assert f'${variable}: "~nobody-at-all/there": there is no user of that name' in str(failed.exception)


@pytest.mark.parametrize(
    "line",
    [
        "data show ~nobody-at-all/x",
        "data ls --data-dir ~nobody-at-all/x",
        "reproduce --table ~nobody-at-all/x.yaml",
        "reproduce --table 2 --dataset ~nobody-at-all/x --protocol quick",
        "reproduce --table 2 --protocol ~nobody-at-all/x.yaml",
        "compare ~nobody-at-all/x quick",
        "validate ~nobody-at-all/x.yaml",
        "validate ~/all.yaml --set dataset=~nobody-at-all/x",
        "validate ~/all.yaml --set 'dataset={folder: ~nobody-at-all/x}'",
        "validate ~/all.yaml --set network=~nobody-at-all/x.yaml",
        "validate ~/all.yaml --set protocol=~nobody-at-all/x.yaml",
        "store export ~nobody-at-all/x",
    ],
)
def test_a_user_that_does_not_exist_is_said_once(line: str, home: Path) -> None:
    failed = CliRunner().invoke(app.cli, shlex.split(line), standalone_mode=False)
    assert isinstance(failed.exception, AsymbpError | click.UsageError)
    (message,) = str(failed.exception).splitlines()
    assert message.count("there is no user of that name. Write the whole path") == 1
    assert "~nobody-at-all/x" in message


def test_a_file_whose_name_begins_so_means_itself(home: Path, tmp_path: Path) -> None:
    shutil.copy(home / "net.yaml", "~nobody-at-all.yaml")
    assert expand_home("~nobody-at-all.yaml") == Path("~nobody-at-all.yaml")
    with pytest.raises(UsageError, match="no user"):
        expand_home("~nobody-else.yaml")


def test_a_home_directory_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number without a name."""

    def fail(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", fail)
    with pytest.raises(UsageError, match=r'"~/x": your home directory is not known\. Write the whole path'):
        expand_home("~/x")


def test_a_path_is_shortened_below_the_working_and_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "lab" / "here"
    here.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(here)
    assert shorten_path(str(here / "photos")) == "./photos"
    assert shorten_path(str(tmp_path / "lab" / "photos")) == "~/lab/photos"
    for path in (str(tmp_path.parent / "photos"), f"{tmp_path}s/photos", "rule.py", ""):
        assert shorten_path(path) == path
    here.rmdir()
    assert shorten_path(str(here / "photos")) == "~/lab/here/photos"
