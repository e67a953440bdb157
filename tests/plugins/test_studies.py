"""Studies with plugins, as a user meets them: tables, changed and missing plugins, failures, workers."""

import csv
import io
import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner, Result
from plugin_examples import NOISE, OTHERS, PAGE, Load

from asymbp_cli.cli import app
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.events import EpochEnded, RunFinished
from asymbp_cli.executors import Job, StackFailed
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.executors.retry import supervise
from asymbp_cli.plugins.registry import forget
from asymbp_cli.results.store import Store
from asymbp_cli.specs.references import REGISTERED
from asymbp_cli.specs.runs import Stack, find_plugins

TINY = ("--set", "protocol.epochs=1", "--set", "protocol.rate_multipliers=[1]", "--workers", "1")


def invoke(*arguments: str, code: int = 0) -> Result:
    """Run the tool in this process, which loads plugins anew."""
    for plugin in set(REGISTERED.values()):
        forget(plugin)
    result = CliRunner().invoke(app.cli, arguments, standalone_mode=False)
    given = getattr(result.exception, "exit_code", None) if result.exception else result.return_value
    assert (given or 0) == code, (result.output, result.exception)
    return result


def write_files() -> None:
    """Write the examples of the page, and its recipe."""
    (recipe,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    Path("my_scheme.py").write_text(NOISE)
    Path("others.py").write_text(OTHERS)
    Path("mine.yaml").write_text(recipe)


@pytest.fixture(autouse=True)
def _files(load: Load) -> None:
    write_files()


def write_recipe(*methods: str) -> None:
    Path("mine.yaml").write_text(f"dataset: digits\nprotocol: demo\nmethod: [{', '.join(methods)}]\n")


def train(*plugins: str, code: int = 0) -> Result:
    options = [word for plugin in plugins for word in ("--plugin", plugin)]
    return invoke("train", "--recipe", "mine.yaml", *TINY, *options, code=code)


def test_the_recipe_of_the_page_is_valid_and_its_table_file_reproduces() -> None:
    assert invoke("validate", "mine.yaml", "--plugin", "my_scheme.py").stdout == "mine.yaml: ok\n"
    Path("t.yaml").write_text("title: Mine\ncolumns: [SGD, wNoise+BN]\n")
    planned = invoke("reproduce", "--table", "t.yaml", "--dry-run", "--plugin", "my_scheme.py", *TINY)
    assert "to train: 2 of 2 runs" in planned.stdout
    assert "wNoise" in invoke("schema", "--plugin", "my_scheme.py").stdout


METHODS = ("SGD", "uSF+BN+BM", "brSF+BN+BM", "wNoise+BN+BM", "signKP+BN", "absFA+BN", "uSF+BN+Lion")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the page's examples next to the paper's methods."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_files()
        write_recipe(*METHODS, "{method: BN, protocol: {initialization: orthogonal, measure: [distance]}}")
        train("my_scheme.py", "others.py")
    return folder / "results"


def test_examples_stand_in_a_table_with_the_papers_methods(results: Path) -> None:
    rows = csv.DictReader(io.StringIO(invoke("report", "--to", "csv", "--results", str(results)).stdout))
    errors = {row["column"]: float(row["error_percent"]) for row in rows}
    assert errors.keys() == {*METHODS, "BN with initialization=orthogonal, measure=[distance]"}
    assert all(error < 85 for error in errors.values()), errors  # 90 by chance


def test_a_report_has_the_short_path_of_a_plugin_and_records_the_whole(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results.parent)
    text = invoke("report", "--results", str(results)).stdout
    whole = f"plugin {results.parent.resolve()}/my_scheme.py"
    assert "plugin ./my\\_scheme.py" in text
    assert whole not in text.replace("\\", "")
    (run,) = re.findall(r"(\w+) +wNoise\+BN\+BM", invoke("ls", "runs", "--results", str(results)).stdout)
    assert whole in invoke("show", run, "--json", "--results", str(results)).stdout
    assert "plugin ./" in " ".join(invoke("show", run, "--results", str(results)).stdout.split())


def test_results_are_read_shown_and_merged_without_the_plugin(results: Path) -> None:
    listed = invoke("ls", "runs", "--results", str(results)).stdout
    assert all(re.search(rf" {re.escape(name)} .* finished ", listed) for name in METHODS)
    report = invoke("report", "--results", str(results)).stdout
    assert re.search(r"wNoise of the plugin \S+\.py with SHA-256", report)
    (noisy,) = re.findall(r"(\w+) +wNoise\+BN\+BM", listed)
    (plain,) = re.findall(r"(\w+) +SGD ", listed)
    shown = invoke("show", noisy, "--results", str(results)).stdout
    assert re.search(rf"plugin /\S+/my_scheme\.py {hash_file('my_scheme.py')}", shown)
    assert f"wNoise@{hash_file('my_scheme.py')[:16]}" in shown
    assert "plugin" not in invoke("show", plain, "--results", str(results)).stdout
    cells = invoke("report", "--to", "csv", "--results", str(results)).stdout
    assert re.search(r"--plugin /\S+/my_scheme\.py", cells)
    (measured,) = re.findall(r"(\w+) +BN +digits", listed)
    assert "Distance\n" in invoke("show", measured, "--results", str(results)).stdout
    invoke("store", "export", "all.asymbp", "--results", str(results))
    invoke("store", "merge", "all.asymbp", "--results", "other")
    invoke("store", "check", "--results", "other")
    assert invoke("ls", "runs", "--results", "other").stdout.split().count("finished") == len(METHODS) + 1


def hash_file(file: str) -> str:
    return sha256(Path(file).read_bytes()).hexdigest()


def test_a_changed_plugin_is_another_run_and_says_so() -> None:
    write_recipe("SGD", "wNoise")
    train("my_scheme.py")
    Path("my_scheme.py").write_text(NOISE + "# changed\n")
    told = "results in results/ were made with another version of my_scheme.py, or with another"
    for command in (("train", "mine.yaml", "--dry-run"), ("plan", "mine.yaml")):
        planned = invoke(*command, *TINY, "--plugin", "my_scheme.py")
        assert planned.stderr.startswith(told)
        assert "wNoise" not in planned.stderr
        assert told not in invoke(*command, *TINY, "--plugin", "my_scheme.py", "--json").output
    again = train("my_scheme.py")
    assert "1 run to train on cpu with 1 worker (1 already done)" in again.stderr
    assert told in again.stderr
    assert "They stay under their own ids" in again.stderr
    with Store.open(Path("results"), create=False) as store:
        assert len(store.finished_ids()) == 3
    assert "another version" not in train("my_scheme.py").stderr
    hashes = [sha256(text.encode()).hexdigest()[:8] for text in (NOISE, NOISE + "# changed\n")]
    report = invoke("report", "--to", "markdown").stdout
    headings = [line for line in report.splitlines() if re.match(r"#+ .*\(demo.*, plugin \w{8}\)$", line)]
    assert [line.split()[-1].strip(")") for line in headings] == hashes
    names = [f"recipe-mine (plugin {digits})" for digits in hashes]
    for name, digits in zip(names, hashes, strict=True):
        one = list(csv.DictReader(io.StringIO(invoke("report", "--to", "csv", "--table", name).stdout)))
        assert {(row["table"], digits in row["procedures"]) for row in one if row["column"] == "wNoise"} == {
            ("recipe-mine", True)
        }
    Path("my_scheme.py").write_text(NOISE + "# changed again\n")
    quiet = invoke("train", "--recipe", "mine.yaml", *TINY, "--plugin", "my_scheme.py", "--quiet")
    assert "another version of my_scheme.py" in quiet.stderr
    Path("my_scheme.py").write_text(NOISE)  # back: trained already
    assert "to train" not in train("my_scheme.py").stderr


def test_without_the_plugin_nothing_is_trained_and_the_message_says_what_to_give() -> None:
    write_recipe("SGD", "wNoise")
    error = train(code=2).exception
    assert 'mine.yaml:3: method[1]: "wNoise" is not a method' in str(error)
    assert "If a plugin defines it, add --plugin FILE" in str(error)
    assert not Path("results").exists()
    assert "no_such.py: No such file or directory" in str(train("no_such.py", code=2).exception)


def test_schemes_are_listed_with_their_plugin_only_if_there_is_one() -> None:
    plain = invoke("ls", "schemes").stdout
    assert "plugin" not in plain.splitlines()[0]
    header, _, *rows = invoke("ls", "schemes", "--plugin", "my_scheme.py").stdout.splitlines()
    assert header.split()[-1] == "plugin"
    assert re.split(" {2,}", rows[-1]) == [
        "wNoise", "wNoise", "W + s N(0, 1)", "after every update of W", "a plugin", "last, s", "my_scheme.py"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "row"),
    [
        ("updates", ["Lion", "Lion", "tau = -sign(m state + (1 - m) g) - d w", "Chen et al. 2023"]),
        ("initializations", ["orthogonal", "of a plugin"]),
        ("measures", ["distance", "distance of V from W", "of a plugin", "a plugin", "that of the plugin"]),
    ],
)
def test_other_names_are_listed_with_their_plugin(what: str, row: list[str]) -> None:
    last = invoke("ls", what, "--plugin", "others.py").stdout.splitlines()[-1]
    assert re.split(" {2,}", last) == [*row, "others.py"]


def test_a_failure_in_a_step_fails_its_own_runs_only() -> None:
    """It comes after the steps of the estimate, which would end the command."""
    body = "    calls.append(1)\n    assert len(calls) < 60, 'too many'\n    return W"
    text = "calls = []\n" + NOISE.replace("    return W", body)
    Path("my_scheme.py").write_text(text)
    write_recipe("SGD", "wNoise", "uSF")
    failed = train("my_scheme.py", code=1)
    assert "1 run failed" in failed.stderr
    assert re.search(r"my_scheme\.py:13: add_noise: AssertionError: too many", failed.stderr)
    states = invoke("ls", "runs").stdout
    assert len(re.findall(r"(?:SGD|uSF) .* finished", states)) == 2


def test_a_failure_before_the_first_step_ends_the_command_with_its_line() -> None:
    Path("my_scheme.py").write_text(NOISE.replace("W + s * draw.normal()", "W[:, :1]"))
    write_recipe("SGD", "wNoise")
    assert "my_scheme.py:4: add_noise returns the shape [1, 1, " in str(train("my_scheme.py", code=2).exception)


def test_a_worker_gets_the_source_and_a_failure_is_not_tried_again(
    digits_info: DecodedDataset, load: Load, tmp_path: Path
) -> None:
    """The file is gone by then. The second job fails in every attempt, so there is one."""
    broken = NOISE.replace("wNoise", "broken").replace("W + s * draw.normal()", "W[:, :1]")
    load(NOISE, "my_scheme.py")
    load(broken, "broken.py")
    grid = small_study.grid(
        "wNoise", "broken", epochs=1, multipliers=(1.0,), rows=(small_study.row(digits_info.fingerprint),)
    )
    runs = [run for run in grid.all_runs().values() if run.references]
    jobs = [
        Job(Stack((run,)), digits_info, "cpu", tmp_path / "checkpoints", plugins=find_plugins([run]))
        for run in runs
    ]
    Path("my_scheme.py").unlink()
    Path("broken.py").write_text("raise SystemExit")
    executor = ProcessExecutor(["cpu"])
    try:
        events = list(supervise(executor, jobs))
    finally:
        executor.cancel()
    assert [event.run for event in events if isinstance(event, RunFinished)] == [runs[0].id]
    (failed,) = [event for event in events if isinstance(event, StackFailed)]
    assert failed.message.startswith("broken.py:4: add_noise returns the shape [1, 1, ")
    assert failed.remedy is None
    assert [e.epoch for e in events if isinstance(e, EpochEnded)] == [1]


def test_json_has_short_names() -> None:
    write_recipe("wNoise")
    lines = invoke(
        "train", "--recipe", "mine.yaml", *TINY, "--plugin", "my_scheme.py", "--json"
    ).stdout.splitlines()
    (record,) = json.loads(lines[-1])["cells"]
    assert record["column"] == "wNoise"
