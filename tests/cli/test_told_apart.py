"""Results of one name: no number stands under a title that is not its own, and rows say what differs."""

import csv
import io
import json
import re
import shlex
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner
from PIL import Image

from asymbp_cli.cli.app import cli
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.results.store import Store
from asymbp_cli.specs.references import REGISTERED, Plugin

RECIPE = """title: {title}
dataset: {dataset}
network: {{input: 8x8x1, layers: [FC {width}, FC classes]}}
method: [SGD, BM]
protocol: {{extends: demo, epochs: 1, rate_multipliers: [1]}}
"""
_RENDERED = ("markdown", "html", "latex", "csv", "json")


def asymbp(line: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def train(recipe: Path, *options: str) -> str:
    return asymbp(shlex.join(["train", "--recipe", str(recipe), "--workers", "1", "--quiet", *options]))


def write(folder: str, width: int = 16, title: str = "Mine", dataset: str = "digits") -> Path:
    file = Path(folder) / "net.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(RECIPE.format(title=title, width=width, dataset=dataset))
    return file


def draw(folder: str, brightness: int) -> None:
    for number in range(16):
        file = Path(folder) / ("cat" if number % 2 else "dog") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), brightness + 10 * number).save(file)


def errors() -> dict[tuple[str, str], list[str]]:
    """Return the errors in the csv report by table and row."""
    found: dict[tuple[str, str], list[str]] = {}
    for record in csv.DictReader(io.StringIO(asymbp("report --to csv"))):
        found.setdefault((record["table"], record["dataset"]), []).append(record["error_percent"])
    return found


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shown_labels() -> list[str]:
    """Return the row labels of the only table, which must be in every format."""
    (table,) = json.loads(asymbp("report --to json"))["tables"]
    labels = list(dict.fromkeys(cell["dataset"] for cell in table["cells"]))
    for kind in _RENDERED:
        text = asymbp(f"report --to {kind}")
        for label in labels:
            assert label in text, (kind, label)
    assert len(labels) == len(set(labels))
    return labels


def test_recipes_of_one_file_name_with_two_titles_are_two_tables() -> None:
    small, large = write("small", 16, "Small network"), write("large", 64, "Large network")
    outputs = [train(small), train(large)]
    text = asymbp("report")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    for title, output, layer in zip(("Small network", "Large network"), outputs, ("FC 16", "FC 64"), strict=True):
        (section,) = [part for part in sections if part.startswith(f"{title}\n")]
        numbers = re.findall(r"\d+\.\d\d(?= │)", output)
        assert len(numbers) >= 2
        assert all(number in section for number in numbers)
        assert f"network {layer}" in section
        (cells,) = [t["cells"] for t in json.loads(asymbp("report --to json"))["tables"] if t["title"] == title]
        assert {cell["table"] for cell in cells} == {f"recipe-net ({title})"}
    assert set(errors()) == {
        ("recipe-net (Small network)", "digits"),
        ("recipe-net (Large network)", "digits"),
    }
    for name in ("Small network", "recipe-net (Small network)"):
        assert "Large network" not in asymbp(f"report --table '{name}'")
    failed = CliRunner().invoke(cli, ["report", "--table", "Smal network"])
    assert str(failed.exception).endswith(
        'Did you mean "Small network"? Available: "Small network", "Large network"'
    )
    with Store.open(Path("results")) as store:
        assert [len(store.commands(grid)) for grid in store.grids()] == [1, 1]

    before = errors()
    train(small)  # again: nothing moves
    assert errors() == before
    with Store.open(Path("results")) as store:
        assert [grid.title for grid in store.grids()] == ["Small network", "Large network"]


def test_tables_of_two_titles_travel_and_are_compared_title_by_title() -> None:
    for folder, width, title in (("small", 16, "Small network"), ("large", 64, "Large network")):
        train(write(folder, width, title))
        train(write(folder, width, title), "--results", folder)
    asymbp("store export all.jsonl.xz")
    asymbp("store export large.jsonl.xz --table 'Large network'")
    asymbp("store merge all.jsonl.xz --results a")
    asymbp("store merge large.jsonl.xz small large --results b")  # in another order
    asymbp("store merge all.jsonl.xz --results b")
    here = errors()
    for other in ("a", "b"):
        compared = json.loads(asymbp(f"compare results {other} --json"))
        assert [listing["title"] for listing in compared] == ["Small network: compared", "Large network: compared"]
        assert {row["difference_points"] for listing in compared for row in listing["rows"]} == {0.0}
        with Store.open(Path(other)) as store:
            assert len(store.grids()) == 2
    assert len(here) == 2
    compared = json.loads(asymbp("compare results large --json"))
    assert [listing["title"] for listing in compared] == ["Large network: compared"]


def test_networks_set_in_a_loop_are_rows_that_say_which() -> None:
    recipe = write("one")
    for width in (16, 32):
        train(recipe, "--set", f"network={{input: 8x8x1, layers: [FC {width}, FC classes]}}")
    assert shown_labels() == ["digits (FC 16)", "digits (FC 32)"]
    assert re.search(r"digits \(FC 16\): .*network FC 16, FC 10\.", asymbp("report"))
    train(recipe, "--results", "other")
    (compared,) = json.loads(asymbp("compare results other --json"))
    assert {row["dataset"] for row in compared["rows"]} == {"digits (FC 16)"}
    assert {row["difference, points"] for row in compared["rows"]} == {0.0}


def test_rows_are_exported_and_runs_are_listed_by_the_names_that_tell_them_apart() -> None:
    recipe = write("one")
    for width in (16, 32):
        train(recipe, "--set", f"network={{input: 8x8x1, layers: [FC {width}, FC classes]}}")
    listed = asymbp("ls runs")
    for label in ("digits (FC 16)", "digits (FC 32)"):
        assert listed.count(label) == 2  # a run of each method
        asymbp(f"store export {label[-3:-1]}.jsonl.xz --dataset '{label}'")
        asymbp(f"store merge {label[-3:-1]}.jsonl.xz --results {label[-3:-1]}")
        with Store.open(Path(label[-3:-1])) as store:
            assert {store.run(summary.id).run.network.layers[0] for summary in store.runs()} == {label[8:-1]}
    (run, *_) = re.findall(r"^\w{16,}", listed, flags=re.MULTILINE)
    assert re.search(r" on digits \(FC \d\d\)$", asymbp(f"show {run}"), flags=re.MULTILINE)
    asymbp("store export both.jsonl.xz --dataset digits")
    asymbp("store merge both.jsonl.xz --results both")
    with Store.open(Path("both")) as store:
        assert len(store.runs()) == 4
    failed = CliRunner().invoke(cli, ["store", "export", "x.xz", "--dataset", "digits (FC 17)"])
    assert 'Did you mean "digits (FC 1' in str(failed.exception)
    assert 'Available: "digits (FC 16)", "digits (FC 32)"' in str(failed.exception)


def test_runs_of_two_tables_are_listed_and_exported_by_names_of_their_own() -> None:
    """Each report says `digits`, since each table has one row."""
    for width in (16, 32):
        train(write("net", width, f"Of {width}"))
    assert set(re.findall(r"digits \(.*?\)", asymbp("ls runs"))) == {"digits (FC 16)", "digits (FC 32)"}
    asymbp("store export a.jsonl.xz --dataset 'digits (FC 32)'")
    asymbp("store merge a.jsonl.xz --results a")
    with Store.open(Path("a")) as store:
        assert [grid.title for grid in store.grids()] == ["Of 32"]


def test_a_folder_whose_images_change_is_two_rows_that_say_which() -> None:
    draw("pets", 0)
    recipe = write("one", dataset="pets/")
    first = train(recipe)
    assert shown_labels() == ["pets"]
    draw("pets", 90)
    second = train(recipe)
    assert "pets (" not in first + second
    labels = shown_labels()
    assert len(labels) == 2
    with Store.open(Path("results")) as store:
        assert labels == [f"pets (data {fingerprint[:8]})" for fingerprint in _in_order(store)]
    text = asymbp("report")
    assert all(f"classes of {label}" in text for label in labels)
    assert "by the beginning of the SHA-256" in text


def _in_order(store: Store) -> list[str]:
    (grid,) = store.grids()
    return [row.dataset for row in grid.rows if row.dataset]


def test_columns_of_one_method_name_their_runs() -> None:
    """While they train, and in the list of runs: a run that two tables have is named by the first."""
    recipe = Path("rates.yaml")
    slow, fast = "{label: SGD slow, method: SGD, protocol: {base_rate: 1e-4}}", "{label: SGD fast, method: SGD}"
    start = "dataset: digits\nnetwork: {input: 8x8x1, layers: [FC 4, FC classes]}\n"
    end = "protocol: {extends: demo, epochs: 1, rate_multipliers: [1]}\n"
    recipe.write_text(f"{start}method: [{slow}, {fast}, {{label: mine, method: uSF}}]\n{end}")
    done = CliRunner().invoke(cli, ["train", str(recipe), "--workers", "1"], catch_exceptions=False)
    told = set(re.findall(r"^\[\d/3\] (.*) x1 on digits: finished", done.stderr, flags=re.MULTILINE))
    assert told == {"SGD slow", "SGD fast", "uSF"}
    Path("one.yaml").write_text(f"{start}method: {slow.replace('slow', 'again')}\n{end}")
    train(Path("one.yaml"))
    listed = asymbp("ls runs")
    assert {name.strip() for name in re.findall(r"^\w{16}  (.*?)  digits", listed, flags=re.MULTILINE)} == told


def test_two_folders_of_one_name_are_two_rows_that_say_which() -> None:
    recipe = write("one")
    for number, folder in enumerate(("a/pets", "b/pets")):
        draw(folder, 50 * number)
        train(recipe, "--set", f"dataset={folder}")
    labels = shown_labels()
    assert len(labels) == 2
    assert all(re.fullmatch(r"pets \(data [0-9a-f]{8}\)", label) for label in labels)


def test_seeds_after_a_protocol_name_its_table() -> None:
    grid = small_study.grid("SGD").model_copy(update={"protocol_label": "quick"})
    for seeds in ((0,), (0, 1)):
        small_study.train(Path("results"), grid.model_copy(update={"seeds": seeds}))
    small_study.train(Path("other"), grid.model_copy(update={"seeds": (7,)}))
    failed = CliRunner().invoke(cli, ["compare", "qick", "other"])
    assert str(failed.exception).endswith('Name one of "quick, seeds 0", "quick, seeds 0, 1"')
    failed = CliRunner().invoke(cli, ["compare", "quick", "other"])
    (message,) = str(failed.exception).splitlines()
    names = re.findall(r'"([^"]+)"', message.partition("Name one of them: ")[2])
    assert names == ["quick, seeds 0", "quick, seeds 0, 1"]
    for name in names:
        (compared,) = json.loads(asymbp(f"compare '{name}' other --json"))
        assert {name, "other (quick)"} < set(compared["rows"][0])
    failed = CliRunner().invoke(cli, ["compare", "other:quick", "results"])
    assert '"results:quick, seeds 0, 1"' in str(failed.exception)
    assert "Complete on both sides: " in asymbp("compare other:quick 'results:quick, seeds 0, 1'")


def with_initialization(grid: Grid, name: str) -> Grid:
    (column,) = grid.columns
    (entry,) = column.entries
    entry = entry.model_copy(update={"protocol": entry.protocol.model_copy(update={"initialization": name})})
    return grid.model_copy(update={"columns": (column.model_copy(update={"entries": (entry,)}),)})


def test_versions_of_a_plugin_after_a_protocol_name_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = small_study.grid("SGD").model_copy(update={"protocol_label": "quick"})
    for digit in "12":
        with monkeypatch.context() as patch:
            patch.setitem(REGISTERED, name := f"mine@{digit * 16}", Plugin("mine.py", digit.encode()))
            small_study.train(Path("results"), with_initialization(grid, name))
    small_study.train(Path("other"), grid)
    failed = CliRunner().invoke(cli, ["compare", "results", "other"])
    names = re.findall(r'"([^"]+)"', str(failed.exception))
    assert names == ["results:quick, plugin 11111111", "results:quick, plugin 22222222"]
    (compared,) = json.loads(asymbp(shlex.join(["compare", *names, "--json"])))
    assert len(compared["rows"]) == 1
    assert compared["rows"][0]["difference_points"] != 0
    failed = CliRunner().invoke(cli, ["compare", "quick, plugin 33333333", "other"])
    assert '"quick, plugin 22222222"' in str(failed.exception)


def test_a_directory_that_is_called_like_a_protocol_is_headed_by_both() -> None:
    grid = small_study.grid("SGD").model_copy(update={"protocol_label": "quick"})
    for directory in ("results", "my-quick"):
        small_study.train(Path(directory), grid)
    (compared,) = json.loads(asymbp("compare my-quick results:quick --json"))
    assert {"my-quick (quick)", "results:quick"} < set(compared["rows"][0])
