"""Where reports and pictures may be written, and where they would destroy something."""

from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.cli.write import check_output
from asymbp_cli.errors import UsageError


@pytest.mark.parametrize(
    "name", ["asymbp.sqlite", "asymbp.sqlite-wal", ".lock", "checkpoints/0123456789abcdef.safetensors"]
)
def test_nothing_is_written_over_a_store(name: str, tmp_path: Path) -> None:
    small_study.train(tmp_path, small_study.grid("SGD"))
    (tmp_path / "checkpoints").mkdir(exist_ok=True)
    before = (tmp_path / "asymbp.sqlite").read_bytes()
    for command in (["report", "--results", str(tmp_path), "--output"], ["data", "show", "digits", "--images"]):
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
    check_output(tmp_path / "elsewhere" / ".lock")
