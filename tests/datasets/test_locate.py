"""Where datasets are looked for, and what is said of one that is missing."""

from pathlib import Path

import pytest

from asymbp_cli.datasets import fetch
from asymbp_cli.datasets.cache import cache_directory
from asymbp_cli.datasets.locate import data_directory
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError, UsageError


def test_names_go_to_the_catalog(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepare("CIFAR", (32, 32, 3), DataSource(data_dir=tmp_path, cache_dir=tmp_path))
    for part in (f"is not in {tmp_path}", "cifar-10-python.tar.gz", "cs.toronto.edu", "--data-dir", "--download"):
        assert part in str(caught.value)
    with pytest.raises(UsageError, match="cifar11"):
        prepare("cifar11", (32, 32, 3), DataSource(data_dir=tmp_path, cache_dir=tmp_path))


def test_download_fetches_every_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(fetch, "fetch", lambda archive, root, on_progress: asked.append(archive.name))
    with pytest.raises(DataError, match="is not in"):
        prepare("mnist", (28, 28, 1), DataSource(data_dir=tmp_path, cache_dir=tmp_path, download=True))
    assert len(asked) == 4


def test_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYMBP_DATA", str(tmp_path / "d"))
    monkeypatch.setenv("ASYMBP_CACHE", str(tmp_path / "c"))
    assert data_directory(None) == tmp_path / "d"
    assert cache_directory(None) == tmp_path / "c"
    assert data_directory(Path("x")) == cache_directory(Path("x")) == Path("x")
    monkeypatch.delenv("ASYMBP_DATA")
    monkeypatch.delenv("ASYMBP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_directory(None) == cache_directory(None) / "data"
    assert "asymbp" in cache_directory(None).parts
