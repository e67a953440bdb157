"""`asymbp validate`: all problems of all files, and what a file is."""

from pathlib import Path

import pytest
from commands import run


def test_validate_shows_all_problems_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("dataset: digits\nmethod: SDG\nprotocol: demo\nseed: x\n")
    (tmp_path / "b.yaml").write_text("dataset: digits\ndataset: mnist\n")
    done = run("validate", "a.yaml", "b.yaml", directory=tmp_path)
    assert done.returncode == 2
    assert "a.yaml:2: method" in done.stderr
    assert "a.yaml:4: seed" in done.stderr
    assert "b.yaml:2: dataset: is given twice" in done.stderr


def test_a_file_that_is_no_yaml_hides_no_other_and_no_other_part_of_itself(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('dataset: dgits\nmethod: [SGD, BM\nprotocol: "demo\nseed: x\n')
    (tmp_path / "b.yaml").write_text("title: x\ncolumns: [SDG]\ndataset: digits\n")
    (tmp_path / "c.yaml").write_text("dataset: digits\nmethod: SGD\nprotocol: demo\n")
    done = run("validate", "a.yaml", "none.yaml", "b.yaml", "c.yaml", directory=tmp_path)
    assert (done.returncode, done.stdout) == (2, "c.yaml: ok\n")
    assert [line.removeprefix("asymbp: ").split(": ")[0] for line in done.stderr.splitlines()] == [
        *("a.yaml:1", "a.yaml:2", "a.yaml:3", "a.yaml:4", "none.yaml", "b.yaml:2", "b.yaml:3", "b.yaml"),
    ]


@pytest.mark.parametrize(
    ("kind", "text", "use"),
    [
        ("a table", "title: x\ncolumns: [SGD]\n", "Train it with asymbp reproduce --table part.yaml"),
        ("a protocol", "epochs: 3\n", "Name it in a recipe: protocol: part.yaml"),
        ("a protocol", "extends: quick\n", "Name it in a recipe: protocol: part.yaml"),
        ("a network", "input: 8x8x1\nlayers: [FC classes]\n", "Name it in a recipe: network: part.yaml"),
        ("an executor", "executor: slurm\nworkers: 3\n", "Name it with --executor part.yaml"),
    ],
)
def test_parts_of_recipes_are_told_from_recipes_and_checked(
    kind: str, text: str, use: str, tmp_path: Path
) -> None:
    (tmp_path / "part.yaml").write_text(text)
    assert run("validate", "part.yaml", directory=tmp_path).stdout == f"part.yaml: ok, {kind}\n"
    done = run("train", "--recipe", "./part.yaml", directory=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"asymbp: part.yaml: is {kind}, not a recipe. {use}\n")
    (tmp_path / "part.yaml").write_text(
        text.replace("3", "three").replace("quick", "quik").replace("[", "[SGDD, ")
    )
    broken = run("validate", "part.yaml", directory=tmp_path)
    assert broken.returncode == 2
    assert "part.yaml:" in broken.stderr
    assert "dataset" not in broken.stderr


def test_a_recipe_without_its_images_is_valid_and_a_note_says_so(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("dataset: {folder: none.tar}\nmethod: SGD\nprotocol: demo\n")
    done = run("validate", "mine.yaml", directory=tmp_path)
    assert (done.returncode, done.stdout) == (0, "mine.yaml: ok\n")
    assert done.stderr == "mine.yaml: note: the images in none.tar are not here\n"
    (tmp_path / "none.tar").mkdir()
    assert run("validate", "mine.yaml", directory=tmp_path).stderr == ""
