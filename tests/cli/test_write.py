"""Where reports and pictures may be written, and where they would destroy something."""

import shutil
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.cli.write import check_output, write_bytes
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import UsageError


@pytest.mark.parametrize(
    "name",
    [
        "asymbp.sqlite",
        "ASYMBP.sqlite",
        "asymbp.sqlite-wal",
        "asymbp.sqlite-shm",
        ".lock",
        "checkpoints/0123456789abcdef.safetensors",
        "link",
    ],
)
def test_nothing_is_written_over_a_store(name: str, tmp_path: Path) -> None:
    small_study.train(tmp_path, small_study.grid("SGD"))
    (tmp_path / "checkpoints").mkdir(exist_ok=True)
    (tmp_path / "link").symlink_to("asymbp.sqlite")
    before = (tmp_path / "asymbp.sqlite").read_bytes()
    results = ["--results", str(tmp_path)]
    for command in (
        ["report", *results, "--output"],
        ["data", "show", "digits", "--images"],
        ["store", "export", *results],
    ):
        with pytest.raises(UsageError, match="belongs to stored results"):
            CliRunner().invoke(cli, [*command, str(tmp_path / name)], catch_exceptions=False)
    assert (tmp_path / "asymbp.sqlite").read_bytes() == before


@pytest.mark.parametrize("name", ["a\nb.md", "\udcff.md"])
def test_a_report_of_a_name_that_is_no_text_has_no_figures(name: str, tmp_path: Path) -> None:
    """A link to them could not be written."""
    small_study.train(tmp_path / "results", small_study.grid("SGD"))
    arguments = ["report", "--results", str(tmp_path / "results"), "--output", str(tmp_path / name)]
    assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    assert "figures" not in (tmp_path / name).read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "results"])


def test_other_files_next_to_a_store_are_fine(tmp_path: Path) -> None:
    small_study.train(tmp_path, small_study.grid("SGD"))
    for name in ("report.md", "checkpoints.md", "lock"):
        check_output(tmp_path / name)
    for name in (".lock", "checkpoints", "info.json"):
        check_output(tmp_path / "elsewhere" / name)


def test_no_file_takes_the_place_of_the_checkpoints(tmp_path: Path) -> None:
    small_study.train(tmp_path, small_study.grid("SGD"))
    shutil.rmtree(tmp_path / "checkpoints", ignore_errors=True)
    with pytest.raises(UsageError, match="belongs to stored results"):
        check_output(tmp_path / "checkpoints")


@pytest.mark.parametrize("name", ["{}/x_train.npy", "{}/info.json", "{}/report.md", ".{}.lock"])
def test_nothing_is_written_over_a_decoded_dataset(name: str, tmp_path: Path) -> None:
    info = prepare("digits", (8, 8, 1), DataSource(cache_dir=tmp_path))
    with pytest.raises(UsageError, match="belongs to a decoded dataset"):
        check_output(info.path.parent / name.format(info.path.name))


@pytest.mark.parametrize("name", ["asymbp.sqlite", ".lock", "weights/0123456789abcdef.safetensors", "jobs/a/b"])
@pytest.mark.parametrize("link", ["hard", "symbolic", "none"])
def test_no_report_takes_the_place_of_a_file_of_any_results(name: str, link: str, tmp_path: Path) -> None:
    small_study.train(tmp_path / "mine", small_study.grid("SGD"))
    for place in ("mine", "other"):
        if place == "other":
            shutil.copytree(tmp_path / "mine", tmp_path / "other")
        file = tmp_path / place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    before = (tmp_path / "mine" / name).read_bytes()
    for place in ("mine", "other") if link != "hard" or name == "asymbp.sqlite" else ("mine",):
        output = tmp_path / place / name
        if link != "none":
            output = tmp_path / f"{place}.md"
            (output.hardlink_to if link == "hard" else output.symlink_to)(tmp_path / place / name)
        words = ["report", "--to", "csv" if link == "none" else "markdown", "--results", str(tmp_path / "mine")]
        with pytest.raises(UsageError, match="belongs to stored results"):
            CliRunner().invoke(cli, [*words, "--output", str(output)], catch_exceptions=False)
    assert (tmp_path / "mine" / name).read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs /dev/full")
def test_a_full_disk_is_not_the_fault_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"cannot write /dev/full: No space left .*\. Free some space, or choose"):
        write_bytes(b"x", Path("/dev/full"))
    with open("/dev/full", "w", encoding="utf-8") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        with pytest.raises(UsageError, match=r"cannot write standard output: No space left"):
            write_bytes(b"x", Path("-"))
        with suppress(OSError):
            full.close()
