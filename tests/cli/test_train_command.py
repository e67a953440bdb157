"""What `train`, `reproduce` and `plan` are asked for: recipes by name or file, several at once, rule and seeds."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from asymbp_cli.bench import rehearsal
from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.files.locks import hold_writer_lock
from asymbp_cli.recipe.examples import recipe_files
from asymbp_cli.results.store import Store
from asymbp_cli.specs.runs import representatives

TINY = "dataset: digits\nnetwork: {input: 8x8x1, layers: [FC 4, FC classes]}\nmethod: [SGD, uSF]\n"
PROTOCOL = "protocol: {extends: demo, epochs: 1, rate_multipliers: [1]%s}\n"
ONE = "--set protocol.epochs=1 --set 'protocol.rate_multipliers=[1]'"


def asymbp(line: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False, standalone_mode=False)
    assert done.return_value in (0, None), done.output
    return done.stdout


def refuse(line: str) -> str:
    """Return the one message of a command that is wrong."""
    done = CliRunner().invoke(cli, shlex.split(line), standalone_mode=False)
    assert done.exception is not None
    return done.exception.format_message() if hasattr(done.exception, "format_message") else str(done.exception)


def plan(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(asymbp(f"{line} --dry-run --json"))
    return found


def ids(line: str) -> set[str]:
    """Return the runs that a command would train."""
    found = {run["run"] for run in plan(line)["runs"]}
    assert None not in found
    return found


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digits_info: DecodedDataset) -> None:
    """The digits are decoded, so that runs have ids before they are trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rehearsal, "time_steps", lambda runs, device: dict.fromkeys(representatives(runs), 0.01))
    Path("mine.yaml").write_text(TINY + PROTOCOL % "")


@pytest.mark.parametrize("name", ["usf-digits", "USF-Digits"])
def test_a_recipe_that_comes_with_the_tool_is_named(name: str) -> None:
    file = shlex.quote(str(recipe_files()["usf-digits"]))
    assert plan(f"train {name}") == plan(f"train --recipe {file}") == plan(f"train {file}")
    assert asymbp(f"plan {name} --workers 1").splitlines()[0] == asymbp(f"plan --recipe {file}").splitlines()[0]
    assert asymbp(f"validate {name}") == f"{recipe_files()['usf-digits']}: ok\n"


def test_every_name_of_the_list_can_be_trained() -> None:
    listed = [line.split()[0] for line in asymbp("ls recipes").splitlines()[2:]]
    assert listed == list(recipe_files())
    assert asymbp(f"validate {' '.join(listed)}").count(": ok\n") == len(listed) > 15


def test_a_name_of_the_tool_hides_no_file_with_an_ending_or_a_slash() -> None:
    for name in ("usf-digits", "usf-digits.yaml", "own"):
        Path(name).write_text(TINY + PROTOCOL % "")
    tables = {
        name: plan(f"train {name}")["tables"][0] for name in ("usf-digits", "usf-digits.yaml", "./usf-digits")
    }
    assert [table["runs"] for table in tables.values()] == [5, 2, 2]
    assert plan("train own")["tables"][0]["runs"] == 2  # no name of the tool


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train", "nothing to train. Name a recipe: a YAML file, or one of asymbp ls recipes"),
        ("train mine.yaml --recipe mine.yaml", "RECIPE is named with --recipe and without"),
        (
            "train usf-digit",
            '"usf-digit" is not a recipe, nor a file. Did you mean "usf-digits"? (asymbp ls recipes)',
        ),
        ("train usf", '"usf" is not a recipe, nor a file. Did you mean "usf-digits" or "usf-readings"?'),
        ("plan usf-digit", 'Did you mean "usf-digits"?'),
        ("validate usf-digit mien.yaml", 'Did you mean "usf-digits"? (asymbp ls recipes)\nmien.yaml: there is no'),
        ("init - --from usf-digit", 'Did you mean "usf-digits"?'),
        ("train table2", "It is a table: asymbp reproduce --table table2"),
        ("train akrout2019", "It is a table: asymbp reproduce --table akrout2019"),
        ("train mine.yaml,usf-digits", "is read as one name. For several write mine.yaml usf-digits"),
        ("train --recipe mine.yaml,x.yaml", "For several write --recipe mine.yaml --recipe x.yaml"),
        ("reproduce --table 2,3", '"2,3" is read as one name. For several write --table 2 --table 3'),
        ("plan --table 2,3", "For several write --table 2 --table 3"),
        ("reproduce --table 2 --dataset digits,mnist", "For several write --dataset digits --dataset mnist"),
        ("data check digits,mnist", "For several write digits mnist"),
        ("train ''", "it is empty, perhaps from a variable that is not set"),
        ("train mine.yaml --results ''", "it is empty, perhaps from a variable that is not set. Write . for the"),
        ("train mine.yaml --data-dir=", "it is empty, perhaps from a variable that is not set"),
        ("reproduce --table ''", "it is empty, perhaps from a variable that is not set"),
        ("reproduce --table 2 --protocol ''", "it is empty, perhaps from a variable that is not set"),
        ("reproduce --table 2 --dataset=", "it is empty, perhaps from a variable that is not set"),
        ("train mine.yaml --seeds 0,1,2", "0,1,2 is a list. For the seeds 3, 4 and 5 write --seed 3 --seeds 3"),
        ("train mine.yaml --seed -1", "-1 is not in the range x>=0"),
        (
            "train mine.yaml --seeds 2 --set seed=[3]",
            "--seed and --seeds contradict --set seed. Leave one of them out",
        ),
        (
            "train mine.yaml --rule held-out --set protocol.validation_fraction=0",
            "--rule held-out contradicts --set protocol.validation_fraction=0. Leave one of them out",
        ),
    ],
)
def test_what_is_asked_wrongly(line: str, message: str) -> None:
    assert message in refuse(line)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("options", "seed", "fraction"),
    [
        ("--seeds 3", "[0, 1, 2]", ""),
        ("--seed 4", "4", ""),
        ("--seed 4 --seeds 2", "[4, 5]", ""),
        ("--rule held-out", "7", ", validation_fraction: 0.1"),
        ("--rule held-out --set protocol.validation_fraction=0.3", "7", ", validation_fraction: 0.3"),
        ("--rule paper", "7", ""),
    ],
)
def test_seeds_and_rule_give_the_runs_and_the_table_that_a_recipe_with_them_has(
    options: str, seed: str, fraction: str
) -> None:
    Path("plain.yaml").write_text(TINY + PROTOCOL % "" + "seed: 7\n")
    Path("mine.yaml").write_text(TINY + PROTOCOL % fraction + f"seed: {seed}\n")
    assert ids(f"train plain.yaml {options}") == ids("train mine.yaml")
    labels = [plan(line)["tables"][0]["protocol"] for line in (f"train plain.yaml {options}", "train mine.yaml")]
    assert labels[0] == labels[1]
    costs = [
        json.loads(asymbp(f"plan {line} --json"))["to_train"] for line in (f"plain.yaml {options}", "mine.yaml")
    ]
    assert costs[0] == costs[1] == len(ids("train mine.yaml"))


def test_a_share_that_is_held_out_already_stays() -> None:
    Path("mine.yaml").write_text(TINY + PROTOCOL % ", validation_fraction: 0.25")
    assert ids("train mine.yaml --rule held-out") == ids("train mine.yaml")
    assert "validation_fraction" not in plan("train mine.yaml --rule paper")["tables"][0]["protocol"]
    Path("quarter.yaml").write_text("extends: demo\nvalidation_fraction: 0.25\n")
    line = "reproduce --table 5 --protocol quarter.yaml"
    assert ids(f"{line} --rule held-out") == ids(line)


def test_several_recipes_are_one_study_and_share_their_runs() -> None:
    Path("more.yaml").write_text((TINY + PROTOCOL % "").replace("[SGD, uSF]", "[SGD, BN]"))
    together = plan("train mine.yaml more.yaml")
    assert [table["table"] for table in together["tables"]] == ["recipe-mine", "recipe-more"]
    assert len(together["runs"]) == 3  # SGD once
    printed = asymbp("train mine.yaml more.yaml --workers 1 --quiet")
    assert "uSF" in printed
    assert "BN" in printed
    with Store.open(Path("results"), create=False) as store:
        assert {grid.key for grid in store.grids()} == {"recipe-mine", "recipe-more"}
        assert len(store.finished_ids()) == 3
    assert plan("train mine.yaml --recipe more.yaml".replace("--recipe ", ""))["runs"] == []


def test_problems_of_all_recipes_are_said_at_once() -> None:
    for name in ("a", "b"):
        Path(f"{name}.yaml").write_text(f"dataset: digits\nmethod: {name}\nprotocol: demo\n")
    message = refuse("train a.yaml mine.yaml b.yaml")
    assert "a.yaml:2: method" in message
    assert "b.yaml:2: method" in message


def test_recipes_of_one_study_keep_the_same_weights() -> None:
    Path("kept.yaml").write_text(TINY + PROTOCOL % "" + "keep_weights: best\n")
    message = refuse("train mine.yaml kept.yaml")
    assert "mine keeps none, kept keeps best. Train them one after another" in message
    assert len(plan("train mine.yaml kept.yaml --keep-weights last")["tables"]) == 2


def test_several_tables_are_one_study_and_share_their_runs() -> None:
    two, five, both = (
        ids(f"reproduce {tables} {ONE}") for tables in ("--table 2", "--table 5", "--table 2 --table 5")
    )
    assert both == two | five
    assert len(both) < len(two) + len(five)
    assert ids(f"reproduce --table 2 --table table2 {ONE}") == two
    assert len(plan(f"reproduce --table 2 --table 2 {ONE}")["tables"]) == 1
    assert [table["table"] for table in plan("reproduce --table 5 --table 4")["tables"]] == [
        *("table-5", "table-4-c1", "table-4-c2")
    ]


def test_tables_of_several_papers_are_planned_together() -> None:
    line = "reproduce --table 2 --table akrout2019 --dataset mnist --protocol quick"
    asked = json.loads(asymbp(f"{line.replace('reproduce', 'plan')} --step-seconds h100 --json"))
    assert [table["table"] for table in asked["tables"]] == ["table-2", "table-akrout2019"]
    networks = {table["rows"][0]["network"] for table in asked["tables"]}
    assert networks == {"network mnist", "28x28x1, FC 500, FC 10, sigmoid"}


def test_both_tables_are_printed_and_what_cannot_be_used_is_said_once(small_tables: Callable[[], str]) -> None:
    printed = small_tables()
    assert printed.index("First") < printed.index("Second")
    assert "For several write --table first --table second. Available:" in refuse("report --table first,second")
    line = "reproduce --table ./first.yaml --table ./second.yaml --dataset all --dataset digits --protocol demo"
    done = CliRunner().invoke(cli, [*shlex.split(line), "--data-dir", ".", "--dry-run"], standalone_mode=False)
    assert done.exception is None
    assert len(done.stderr.splitlines()) == len(set(done.stderr.splitlines()))


@pytest.fixture
def small_tables() -> Callable[[], str]:
    """Two tables of one column each, trained at once."""
    for name, method in (("first", "SGD"), ("second", "uSF")):
        Path(f"{name}.yaml").write_text(f"title: {name.title()}\ndatasets: [mnist]\ncolumns: [{method}]\n")
    return lambda: asymbp(f"reproduce --table ./first.yaml --table ./second.yaml {ONE} --workers 1 --quiet")


@pytest.mark.parametrize("line", ["train mine.yaml", f"reproduce --table 2 {ONE}"])
def test_a_second_writer_is_refused_before_anything_takes_time(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("results").mkdir()
    with hold_writer_lock(Path("results")):
        assert plan(line)["runs"]  # which writes nothing
        monkeypatch.setattr("asymbp_cli.cli.execute.load_plugins", pytest.fail)
        assert "is writing to results/. Wait for it" in refuse(line)
