"""`asymbp data`: what is here, what can come, what is wrong with it."""

import dataclasses
import functools
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import miniatures
import painted
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets import fetch
from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import digest
from asymbp_cli.datasets.entry import Archive


def data(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["data", *arguments])


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory with some miniatures."""
    for key in ("svhn", "flowers17", "pubfig83"):
        miniatures.install(key, tmp_path, monkeypatch)
    monkeypatch.setenv("ASYMBP_DATA", str(tmp_path))
    return tmp_path


def test_all_are_listed_with_their_state(root: Path) -> None:
    painted.packed(root / "cifar10-jpeg.tar.xz", {"train/a/1.jpg": b""}, "w:xz")
    states = {row["name"]: row["state"] for row in json.loads(data("ls", "--json").stdout)}
    assert set(states) == set(CATALOG)
    assert states["digits"] == states["svhn"] == states["flowers17"] == states["pubfig83"] == "ready"
    assert states["cifar10"] == "stand-in"
    assert states["caltech101"] == "can be fetched"
    assert states["lfw"] == states["timit"] == states["icub"] == "manual download"
    (root / "caltech101" / "caltech-101.zip").mkdir(parents=True)  # no archive
    (root / "lfw").write_text("no archive either")
    table = data("ls").stdout
    assert str(root) in table
    assert len([line for line in table.splitlines() if "  " in line.lstrip()]) == 2 + len(CATALOG)


def test_where_data_lie(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYMBP_CACHE", "/there")
    lines = [line.split() for line in data("where").stdout.splitlines()]
    assert [line[:2] for line in lines] == [["data", str(root)], ["cache", "/there"]]


def test_what_is_whole_passes_the_check(root: Path) -> None:
    found = data("check", "svhn", "Flowers17", "PubFig83-ID")
    assert found.exit_code == 0
    assert found.stdout.splitlines() == [
        "SVHN: ok, 10 classes, 4 to train, 2 to test",
        "Flowers-17: ok, 3 classes, 9 to train, 3 to test, 3 in neither",
        "PubFig83-ID: ok, 3 classes, 9 to train, 6 to test, 6 in neither",
    ]
    assert "digits: ok" in data("check").stdout
    assert "SVHN: ok" in data("check").stdout


def test_the_check_names_everything_that_is_wrong_and_goes_on(root: Path) -> None:
    (root / "test_32x32.mat").write_bytes(b"half")
    shutil.rmtree(root / "pubfig83" / "Zac Efron")
    found = data("check")
    assert "Flowers-17: ok" in found.stdout
    text = str(found.exception)
    assert "test_32x32.mat is not the published file" in text
    assert "pubfig83: it lacks Zac Efron" in text
    assert "lfw" in str(data("check", "lfw").exception)


def test_a_folder_of_ones_own_can_be_checked_and_shown(root: Path) -> None:
    found = data("check", str(root / "pubfig83"))
    assert found.stdout.startswith("pubfig83: ok, 4 classes, 16 to train, 5 to test")
    shown = data("show", str(root / "pubfig83"))
    assert shown.exit_code == 0
    assert "Uma Thurman" in shown.stdout


def test_a_dataset_is_shown_with_its_draw_and_a_contact_sheet(root: Path) -> None:
    found = data("show", "pubfig83", "--images", str(root / "sheet.png"))
    assert found.exit_code == 0, found.exception
    for text in ("Pinto", "non-commercial", "80 of the 83 people", "31x40x3 / 33x40x3 / 3"):
        assert text in found.stdout
    drawn = [line for line in found.stdout.splitlines() if line.endswith("2") and "  3  " in line]
    assert len(drawn) == 3
    with Image.open(root / "sheet.png") as sheet:
        assert sheet.size == (3 * 121 + 2, 3 * 121 + 2)


def test_classes_whose_names_are_numbers_are_shown_as_they_are(tmp_path: Path) -> None:
    names = ["001", "002", "1.1", "1.10", "1e3", "1_000", "inf"]
    for name in names:
        for number in range(4):
            file = tmp_path / "num" / name / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 20 * number).save(file)
    _, _, table = data("show", str(tmp_path / "num")).stdout.partition("\nclass")
    assert sorted(line.split()[0] for line in table.splitlines()[2:]) == sorted(names)
    assert all(line.split()[1:] == ["3", "1"] for line in table.splitlines()[2:])


def test_vectors_have_no_picture(root: Path) -> None:
    from asymbp_cli.datasets import survey
    from asymbp_cli.datasets.readers.base import FoundDataset

    nothing = FoundDataset("timit", "TIMIT-80", None, False, "", lambda: None)  # type: ignore[arg-type, return-value]
    found = survey.Survey(nothing, ("a",), {}, ((1845,),) * 3, (), 0, 0, "")
    with pytest.raises(survey.DataError, match="TIMIT-80 holds vectors of 1845 features"):
        survey.make_contact_sheet(found, (1845,))


def test_what_may_not_be_fetched_is_explained(root: Path) -> None:
    found = data("fetch", "lfw", "timit")
    text = str(found.exception)
    assert "photographs of people" in text
    assert "the Linguistic Data Consortium sells it" in text


def test_fetching_all_gets_what_it_can(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def pretend(archive: Archive, root: Path, report: object) -> None:
        asked.append(archive.name)
        if "cifar-100" in archive.name:
            raise fetch.DataError(f"{archive.name} could not be downloaded")

    monkeypatch.setattr(fetch, "fetch", pretend)
    found = data("fetch", "all")
    assert "svhn: present" in found.stdout
    assert "mnist: fetched" in found.stdout
    assert {name.split("/")[-1] for name in asked} >= {"caltech-101.zip", "setid.mat", "TrainImages.txt"}
    assert not {"train_32x32.mat"} & set(asked)
    assert "lfw: Labeled Faces" in found.stderr
    assert str(found.exception) == "cifar-100-python.tar.gz could not be downloaded"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Return the address of a server of what lies in `there`."""
    handler = functools.partial(Quiet, directory=str(tmp_path / "there"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_ready_is_only_what_would_be_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def states() -> dict[str, str]:
        return {row["name"]: row["state"] for row in json.loads(data("ls", "--json").stdout)}

    assert states()["pubfig83"] == states()["svhn"] == "ready"
    shutil.rmtree(root / "pubfig83" / "Zac Efron")
    sizes = tuple(dataclasses.replace(a, size=(root / a.name).stat().st_size) for a in CATALOG["svhn"].archives)
    monkeypatch.setitem(CATALOG, "svhn", dataclasses.replace(CATALOG["svhn"], archives=sizes))
    assert states()["svhn"] == "ready"
    (root / "train_32x32.mat").write_bytes(b"half")
    assert states()["pubfig83"] == states()["svhn"] == "unreadable"


def test_only_what_is_missing_is_fetched(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(fetch, "fetch", lambda archive, root, report: asked.append(archive.name))
    unpacked = root / "indoor67" / "Images"
    (unpacked / "bar").mkdir(parents=True)
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"unpacked")
    data("fetch", "indoor67", "mnist")
    assert [name.rpartition("/")[2] for name in asked] == [
        "TrainImages.txt",
        "TestImages.txt",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]


def test_all_that_cannot_be_fetched_is_listed_and_leaves_no_folders(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "new"
    monkeypatch.setenv("ASYMBP_DATA", str(root))
    for key in ("mnist", "indoor67"):
        row = CATALOG[key]
        archives = tuple(dataclasses.replace(a, urls=(f"{server}/none/{a.name}",)) for a in row.archives)
        monkeypatch.setitem(CATALOG, key, dataclasses.replace(row, archives=archives))
    text = str(data("fetch", "mnist", "indoor67", "--quiet").exception)
    for name in [archive.name for key in ("mnist", "indoor67") for archive in CATALOG[key].archives]:
        assert f"{name} could not be downloaded" in text
    assert all(path.name.startswith(".fetch-") and path.is_file() for path in root.iterdir())


def test_archives_are_put_where_the_reader_looks(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a server of files to a dataset that is ready, for all that can be fetched."""
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    monkeypatch.setenv("ASYMBP_DATA", str(here))
    for key in [key for key, row in CATALOG.items() if row.archives]:
        miniatures.install(key, there, monkeypatch)
        row = CATALOG[key]
        archives = tuple(dataclasses.replace(a, urls=(f"{server}/{a.name}",)) for a in row.archives)
        monkeypatch.setitem(CATALOG, key, dataclasses.replace(row, archives=archives))
        found = data("fetch", key, "--quiet")
        assert found.exit_code == 0, found.exception
        assert f"{key}: fetched" in found.stdout
        assert data("check", key, "--quiet").exit_code == 0
        assert all(digest(here / a.name, "0" * 32) for a in archives)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "mnsit"], 'Did you mean "mnist"?'),
        (["fetch", "flowers18"], 'Did you mean "flowers17"?'),
        (["fetch", "all", "mnsit"], 'Did you mean "mnist"?'),
        (["show", "no/such/folder"], "does not exist"),
        (["show", "svhn", "--images", "/proc/none/x.png"], "cannot"),
    ],
)
def test_bad_input_is_said(arguments: list[str], said: str, root: Path) -> None:
    found = data(*arguments)
    assert found.exception is not None
    assert said in str(found.exception)


def test_a_contact_sheet_is_a_png(tmp_path: Path) -> None:
    for name in ("sheet.jpg", "sheet"):
        assert "must end in .png" in str(data("show", "digits", "--images", str(tmp_path / name)).exception)
    assert list(tmp_path.iterdir()) == []
