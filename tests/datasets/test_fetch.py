"""Downloads from a server on this machine that breaks off, lies, redirects and fails."""

import dataclasses
import hashlib
import threading
from pathlib import Path

import pytest
from download_server import CONTENT, Server
from download_server import server as server

from asymbp_cli.datasets import fetch as module
from asymbp_cli.datasets.entry import Archive
from asymbp_cli.datasets.fetch import fetch
from asymbp_cli.errors import DataError


def test_a_file_appears_whole(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    path = fetch(server.archive("good"), tmp_path, lambda *report: seen.append(report))
    assert path == tmp_path / "deep" / "x.bin"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == ("downloading deep/x.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})
    assert not path.with_name("x.bin.part").exists()


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        fetch(server.archive("good"), tmp_path)
    assert len(server.requests) == 1


def test_a_broken_download_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    assert fetch(server.archive("cut"), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("cut", None), ("cut", f"bytes={len(CONTENT) // 2}-")]


def test_the_next_command_goes_on_too(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ATTEMPTS", 1)
    with pytest.raises(DataError, match=f"broke off at {len(CONTENT) // 2} of {len(CONTENT)} bytes"):
        fetch(server.archive("cut"), tmp_path)
    assert fetch(server.archive("good"), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1] == ("good", f"bytes={len(CONTENT) // 2}-")


@pytest.mark.parametrize("way", ["forgetful", "moved"])
def test_servers_that_do_not_resume_or_redirect(way: str, server: Server, tmp_path: Path) -> None:
    assert fetch(server.archive(way), tmp_path).read_bytes() == CONTENT


def test_a_server_that_refuses_to_resume(server: Server, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.bin.part").write_bytes(CONTENT[:100])
    assert fetch(server.archive("strict"), tmp_path).read_bytes() == CONTENT


def test_a_foreign_beginning_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.bin.part").write_bytes(b"something else")
    assert fetch(server.archive("good"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("bad", ["missing", "busy", "wrong", "longer", "shorter"])
def test_the_next_mirror_is_asked(bad: str, server: Server, tmp_path: Path) -> None:
    assert fetch(server.archive(bad, "good"), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1][0] == "good"


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("missing", "HTTP 404 Not Found"),
        ("busy", "HTTP 503 Service Unavailable"),
        ("wrong", f"MD5 {hashlib.md5(bytes(len(CONTENT))).hexdigest()}, not"),
        ("longer", f"sent more than {len(CONTENT)} bytes"),
        ("shorter", "broke off at"),
        ("silent", "timed out"),
        ("stalled", "timed out"),
    ],
)
def test_a_failure_says_what_happened_and_what_to_do(
    way: str, said: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 0.2 if said == "timed out" else 5)
    with pytest.raises(DataError, match=said) as caught:
        fetch(server.archive(way), tmp_path)
    target = tmp_path / "deep" / "x.bin"
    assert f"/{way}/x.bin" in str(caught.value)
    assert f"Get it by hand and put it at {target}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not target.exists()


def test_a_refusal_is_not_asked_thrice(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        fetch(server.archive("missing"), tmp_path)
    assert len(server.requests) == 1


def test_nobody_listens(tmp_path: Path) -> None:
    archive = Archive("x.bin", ("http://127.0.0.1:9/x.bin", "no address"), "0" * 32, 10)
    with pytest.raises(DataError, match=r"refused.*unknown url type"):
        fetch(archive, tmp_path)


def test_a_directory_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("a file")
    with pytest.raises(DataError, match=r"cannot write .*x\.bin.*--data-dir"):
        fetch(server.archive("good"), tmp_path)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs /dev/full")
def test_a_full_disk(server: Server, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.bin.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"No space left on device\. Free some space"):
        fetch(server.archive("good"), tmp_path)


def test_two_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    archive = server.archive("good")
    threads = [threading.Thread(target=fetch, args=(archive, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1
    assert (tmp_path / archive.name).read_bytes() == CONTENT


# files of which less is published ------------------------------------------------------------------------------


def partly_known(server: Server, way: str, **known: object) -> Archive:
    return dataclasses.replace(server.archive(way), **{"checksum": "", "size": None} | known)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["good", "cut", "moved", "forgetful"])
def test_without_a_size_the_servers_word_is_taken(way: str, server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    archive = partly_known(server, way, checksum=hashlib.sha1(CONTENT).hexdigest())
    assert fetch(archive, tmp_path, lambda *report: seen.append(report)).read_bytes() == CONTENT
    assert {total for _, _, total in seen} == {len(CONTENT)}


def test_without_checksum_and_size_a_file_is_whole_as_its_server_says(server: Server, tmp_path: Path) -> None:
    assert fetch(partly_known(server, "cut"), tmp_path).read_bytes() == CONTENT


def test_a_server_that_names_no_size(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    archive = partly_known(server, "unsized", checksum=hashlib.sha256(CONTENT).hexdigest())
    assert fetch(archive, tmp_path, lambda *report: seen.append(report)).read_bytes() == CONTENT
    assert {total for _, _, total in seen} == {0}


def test_a_server_that_never_ends_is_left(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LARGEST", len(CONTENT) // 2)
    with pytest.raises(DataError, match=f"sent more than {len(CONTENT) // 2} bytes"):
        fetch(partly_known(server, "unsized"), tmp_path)
    assert not (tmp_path / "deep" / "x.bin").exists()


@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_other_checksums_are_checked_too(name: str, server: Server, tmp_path: Path) -> None:
    archive = partly_known(server, "wrong", checksum=hashlib.new(name, CONTENT).hexdigest())
    with pytest.raises(
        DataError, match=f"{name.upper()} {hashlib.new(name, bytes(len(CONTENT))).hexdigest()}, not"
    ):
        fetch(archive, tmp_path)


@pytest.mark.parametrize(("way", "said"), [("page", "sent a web page"), ("nothing", "sent nothing")])
def test_without_a_checksum_no_page_is_taken_for_the_file(
    way: str, said: str, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.bin.part").write_bytes(b"left over")
    with pytest.raises(DataError, match=said):
        fetch(partly_known(server, way), tmp_path)
    assert fetch(partly_known(server, "good"), tmp_path).read_bytes() == CONTENT


def test_another_part_than_was_asked_for_is_not_appended(server: Server, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.bin.part").write_bytes(CONTENT[:100])
    assert fetch(server.archive("restarting"), tmp_path).read_bytes() == CONTENT


def test_a_folder_in_the_place_of_the_file_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "deep" / "x.bin").mkdir(parents=True)
    with pytest.raises(DataError, match=r"x\.bin is a folder, .* Move the folder away"):
        fetch(server.archive("good"), tmp_path)
