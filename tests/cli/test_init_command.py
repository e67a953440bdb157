"""`asymbp init`: a recipe with comments, which can be trained as it is, and whose comments tell the truth."""

import re
import shlex
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.catalog import CATALOG, FolderSource
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.examples import recipe_files
from asymbp_cli.recipe.format import METHOD_KEYS, PROTOCOL_KEYS, RECIPE_KEYS
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.protocols import protocol_files
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.recipe.resources import named_files
from asymbp_cli.recipe.starter import read_source, write_starter
from asymbp_cli.recipe.table import load_table
from asymbp_cli.recipe.yamlfile import parse_yaml
from asymbp_cli.specs.methods import method_name

SOURCES = [*named_files("examples"), *(name for name in named_files("tables") if name != "table1")]


def asymbp(line: str) -> str:
    done = CliRunner().invoke(cli, shlex.split(line), catch_exceptions=False, standalone_mode=False)
    assert done.return_value in (0, None), done.output
    return done.output


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _words(lines: list[str]) -> str:
    return " ".join(" ".join(line.strip().removeprefix("# ") for line in lines).split())


def test_a_new_recipe_is_valid_and_trains() -> None:
    said = asymbp("init mine.yaml")
    assert said == "wrote mine.yaml\ntrain it: asymbp train mine.yaml\n"
    assert asymbp("validate mine.yaml") == "mine.yaml: ok\n"
    one = "--set protocol.epochs=1 --set protocol.rate_multipliers=[1] --workers 1 --quiet"
    assert "uSF+BN+BM" in asymbp(f"train mine.yaml {one}")


def test_what_a_device_swallows_cannot_be_trained() -> None:
    assert asymbp("init /dev/null") == "wrote /dev/null\n"


def test_it_explains_every_key_in_the_words_of_the_format() -> None:
    text = asymbp("init -")
    said = _words([line for line in text.splitlines() if line.strip().startswith("# ")])
    for keys in (RECIPE_KEYS, PROTOCOL_KEYS):
        for key, schema in keys.items():
            assert re.search(rf"(?m)^ *#?{key}:", text), key
            assert " ".join(schema["description"].split()) in said, key


@pytest.mark.parametrize("source", [None, *SOURCES])
def test_what_it_starts_from_is_the_same_recipe_with_comments(source: str | None) -> None:
    asymbp(f"init mine.yaml --from {source}" if source else "init mine.yaml")
    recipe, text = load_recipe("./mine.yaml"), Path("mine.yaml").read_text()
    assert text.startswith("# asymbp train mine.yaml\n")
    assert text.count("# asymbp ") == 1
    if source in recipe_files():
        assert recipe.model_copy(update={"name": source}) == load_recipe(str(source))
    elif source:
        methods = [
            variant.method
            for table in load_table(source)
            for column in table.columns
            for variant in column.variants
        ]
        assert [method.procedure.method for method in recipe.methods] == methods


@pytest.mark.parametrize(
    "source", [None, "own-network", "lenet-mnist", "spelled-out", "field-schemes", "akrout2019"]
)
def test_every_line_that_is_not_used_can_be(source: str | None) -> None:
    """Its value is what holds without it, so that nothing changes but title, seeds and weights."""
    text = write_starter(read_source(source), "mine.yaml")
    Path("mine.yaml").write_text(text)
    plain = load_recipe("./mine.yaml")
    unused = re.findall(r"(?m)^ *#(?! )(\w+):", text)
    assert len(unused) > 20
    for key in unused:
        used = re.sub(rf"(?m)^( *)#({key}:)", r"\1\2", text)
        if key == "method":
            used = re.sub(rf"(?m)^({'|'.join(METHOD_KEYS)}):.*\n(?: .*\n)*", "", used)
        elif key in METHOD_KEYS and "#method" not in text:
            used = re.sub(r"(?m)^method:.*\n(?: .*\n)*", "", used)
        Path("mine.yaml").write_text(used)
        recipe = load_recipe("./mine.yaml")
        assert recipe.protocol == plain.protocol
        if key == "feedback":
            assert method_name(recipe.methods[0].procedure.method).split("+")[0] in method_name(
                plain.methods[0].procedure.method
            )


def test_a_file_is_written_over_only_if_that_is_asked_for() -> None:
    Path("mine.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"^mine\.yaml is there already\. Choose another name, or add --force$"):
        asymbp("init mine.yaml")
    assert Path("mine.yaml").read_text() == "mine"
    asymbp("init mine.yaml --force")
    assert asymbp("validate mine.yaml") == "mine.yaml: ok\n"


def test_a_file_without_an_ending_is_named_so_that_it_is_found() -> None:
    assert asymbp("init 'my recipe'").endswith("train it: asymbp train './my recipe'\n")
    assert Path("my recipe").read_text().startswith("# asymbp train './my recipe'\n")
    assert asymbp("validate './my recipe'") == "my recipe: ok\n"


def test_standard_output_has_the_recipe_alone() -> None:
    assert parse_yaml(asymbp("init - --from usf-digits"), "").data["method"] == "uSF+BN+BM"
    assert list(Path().iterdir()) == []


def test_a_recipe_of_ones_own_keeps_its_comments() -> None:
    Path("own.yaml").write_text('{dataset: digits, "method": SGD, protocol: {extends: demo, epochs: 3}}\n')
    assert "  epochs: 3\n" in asymbp("init - --from own.yaml")
    Path("own.yaml").write_text("# why\ndataset: digits  # these\nmethod: SGD\nprotocol:\n    epochs: 3  # few\n")
    text = asymbp("init - --from own.yaml")
    assert "# why\n" in text
    assert "dataset: digits  # these\n" in text
    assert "    epochs: 3  # few\n    # Section 5: 50 epochs" in text


@pytest.mark.parametrize(
    ("source", "has"),
    [
        ("matconvnet", "dataset: digits, method: [SGD, uSF+BN+BM], protocol: {extends: matconvnet}"),
        ("cifar", "dataset: cifar10, network: cifar, method: [SGD, uSF+BN+BM], protocol: {extends: quick}"),
        ("flowers102", "dataset: flowers102, method: [SGD, uSF+BN+BM], protocol: {extends: quick}"),
        ("Digits", "dataset: digits, network: digits, method: [SGD, uSF+BN+BM], protocol: {extends: demo}"),
        (
            "{dataset: mnist, method: BM, protocol: quick}",
            "dataset: mnist, method: BM, protocol: {extends: quick}",
        ),
    ],
)
def test_two_methods_use_what_a_name_means(source: str, has: str) -> None:
    asymbp(f"init mine.yaml --from {shlex.quote(source)}")
    assert parse_yaml(Path("mine.yaml").read_text(), "").data == parse_yaml(f"{{{has}}}", "").data
    assert asymbp("validate mine.yaml") == "mine.yaml: ok\n"


@pytest.mark.parametrize("source", ["./photos", "photos", "folder:photos", "~/photos", "photos.zip", "./mnist"])
def test_two_methods_train_on_images_of_ones_own(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path.cwd()))
    for name in ("photos", "mnist"):
        Path(name).mkdir()
    with ZipFile("photos.zip", "w") as archive:
        archive.writestr("cat/1.txt", "")
    asymbp(f"init mine.yaml --from {source}")
    recipe = load_recipe("./mine.yaml")
    (images,) = recipe.datasets
    assert isinstance(images, FolderSource)
    assert images.folder == source.removeprefix("folder:")
    assert recipe.networks == (NETWORKS["cifar"],)
    assert len(recipe.methods) == 2


def test_a_name_of_the_tool_hides_a_folder() -> None:
    Path("mnist").mkdir()
    asymbp("init mine.yaml --from mnist")
    assert load_recipe("./mine.yaml").datasets == ("mnist",)


def test_images_in_place_of_a_recipe_are_told_how_to_make_one() -> None:
    Path("photos").mkdir()
    done = CliRunner().invoke(cli, ["train", "./photos"], standalone_mode=False)
    assert str(done.exception).endswith("Or, for images: asymbp init mine.yaml --from ./photos")


@pytest.mark.parametrize("name", [*protocol_files(), *NETWORKS, *CATALOG])
def test_each_name_that_a_recipe_takes_can_be_started_from(name: str) -> None:
    assert name in write_starter(read_source(name), "mine.yaml")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("table4", "table4 is 2 tables. Name one: table4-c1, table4-c2"),
        ("all", "Name one: table2, table3, table4-c1, table4-c2, table5"),
        ("table1", "Table 1 lists networks and trains nothing. Name another table, for instance table2"),
        ("grd", 'Did you mean "grid"?'),
        ("none.yaml", "none.yaml: there is no such file"),
        ("matconv", 'Did you mean "matconvnet"? Name a recipe'),
        ("./photso", '"./photso" is nothing to start from. Did you mean "./photos"? Name a recipe'),
        ("photso", 'Did you mean "./photos"?'),
        ("folder:photso", 'photso does not exist. Did you mean "./photos"?'),
        ("photos.zp", '"photos.zp" is nothing to start from. Did you mean "./photos.zip"?'),
        ("phots.zip", '"phots.zip" is nothing to start from. Did you mean "./photos.zip"?'),
        ("slurm", "slurm is where to train, which no recipe says: asymbp train RECIPE --executor slurm"),
        ("inline", "asymbp train RECIPE --executor inline"),
        ("{title: x, columns: [SGD]}", "asymbp reproduce --table '{title: x, columns: [SGD]}'"),
    ],
)
def test_what_nothing_starts_from(source: str, message: str) -> None:
    Path("photos").mkdir()
    Path("photos.zip").touch()
    done = CliRunner().invoke(cli, ["init", "mine.yaml", "--from", source], standalone_mode=False)
    assert message in str(done.exception)
    assert not Path("mine.yaml").exists()
