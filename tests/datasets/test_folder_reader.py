"""A user's own images: every layout that is understood, and a message for every one that is not."""

import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.readers.picture import decode, fit
from asymbp_cli.errors import AsymbpError, DataError

Grow = Callable[..., Path]
Decoded = Callable[..., DecodedDataset]
OFFICIAL = {"train/cat": 3, "train/dog": 2, "test/cat": 1, "test/dog": 2}


def pack(tree: Path, ending: str, top: str = "") -> Path:
    """Return the tree as an archive beside it."""
    archive = tree.with_name(tree.name + ending)
    if ending == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for found in sorted(tree.rglob("*")):
                file.write(found, Path(top) / found.relative_to(tree))
    else:
        with tarfile.open(archive, f"w:{ending.removeprefix('.tar').removeprefix('.')}") as file:
            file.add(tree, top or ".")
    return archive


def test_train_and_test_folders(grow: Grow, decoded: Decoded) -> None:
    info = decoded(grow("pets", OFFICIAL))
    assert (info.train_count, info.test_count) == (5, 3)
    assert info.classes == ("cat", "dog")
    assert (info.key, info.label, info.paper_name, info.exact, info.note) == ("folder", "pets", None, False, "")
    assert np.load(info.path / "y_train.npy").tolist() == [0, 0, 0, 1, 1]
    assert np.load(info.path / "y_test.npy").tolist() == [0, 1, 1]
    kept = np.asarray(Image.open(Path(info.path).parents[2] / "pets" / "train" / "dog" / "1.png"))
    assert np.array_equal(np.load(info.path / "x_train.npy")[4], kept)


@pytest.mark.parametrize("top", ["", "wrapped", "twice/wrapped"])
@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip"])
def test_an_archive_reads_like_its_folder(ending: str, top: str, grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    packed = decoded(pack(tree, ending, top))
    assert packed.fingerprint == decoded(tree).fingerprint
    assert packed.label == "pets"


@pytest.mark.parametrize(
    ("options", "train", "test"),
    [
        ({}, [6, 3], [2, 1]),
        ({"test_fraction": 0.5}, [4, 2], [4, 2]),
        ({"train_per_class": 2}, [2, 2], [6, 2]),
        ({"test_per_class": 3}, [5, 1], [3, 3]),
        ({"train_per_class": 1, "test_per_class": 2}, [1, 1], [2, 2]),
    ],
)
def test_one_tree_is_split_per_class(
    options: dict[str, float], train: list[int], test: list[int], grow: Grow, decoded: Decoded
) -> None:
    info = decoded(grow("pets", {"cat": 8, "dog": 4}), **options)
    assert np.bincount(np.load(info.path / "y_train.npy")).tolist() == train
    assert np.bincount(np.load(info.path / "y_test.npy")).tolist() == test
    assert info.note == "split per class by seed 0"


def test_the_seed_decides_and_nothing_overlaps(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 8, "dog": 8})
    first, again, other = decoded(tree), decoded(tree, label="else"), decoded(tree, seed=1)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    images = [np.load(first.path / f"x_{split}.npy") for split in ("train", "test")]
    assert len(np.unique(np.concatenate(images), axis=0)) == 16


def test_what_lies_about_is_passed_over(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    before = decoded(tree).fingerprint
    (tree / "README.md").write_text("hello")
    (tree / "cat" / "Thumbs.db").write_text("x")
    (tree / ".git").mkdir()
    (tree / ".git" / "0.png").write_text("not an image, but hidden")
    (tree / "__MACOSX").mkdir()
    (tree / "__MACOSX" / "._0.png").write_text("x")
    assert decoded(tree).fingerprint == before


def test_subfolders_of_a_class_belong_to_it(grow: Grow, decoded: Decoded) -> None:
    info = decoded(grow("pets", {"cat/a": 2, "cat/b": 2, "dog/a": 4}))
    assert info.classes == ("cat", "dog")
    assert info.train_count + info.test_count == 8


def test_hard_links_in_a_tar_count(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    os.link(tree / "cat" / "0.png", tree / "cat" / "9.png")
    info = decoded(pack(tree, ".tar.gz"))
    assert info.train_count + info.test_count == 9


def test_names_that_point_elsewhere_write_nothing(grow: Grow, decoded: Decoded, tmp_path: Path) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    archive = pack(tree, ".tar")
    with tarfile.open(archive, "a") as file:
        file.add(tree / "cat" / "0.png", "../escaped/0.png")
    with pytest.raises(DataError, match=r"pets\.tar: \.\./escaped/0\.png leads out of it. Pack it again"):
        decoded(archive)
    assert not (tmp_path / "escaped").exists()


def test_a_link_in_a_tar_is_not_passed_over(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    (tree / "dog" / "9.png").symlink_to(tree / "cat" / "0.png")
    assert decoded(tree).train_count == 7
    with pytest.raises(DataError, match=r"dog/9\.png is a symbolic link. Pack it again with tar -h"):
        decoded(pack(tree, ".tar"))


def test_an_empty_class_beside_the_only_other_one_is_named(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat/tabby": 4, "cat/black": 4, "dog": 0})
    with pytest.raises(DataError, match=r"dog/ holds no images. Fill it or remove it"):
        decoded(tree)


@pytest.mark.parametrize("ending", [".tar.gz", ".tar.xz"])
def test_damage_behind_the_last_member_is_noticed(ending: str, grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", {"cat": 4, "dog": 4}), ending)
    content = archive.read_bytes()
    archive.write_bytes(content[:-3])
    with pytest.raises(DataError, match="cannot be read"):
        decoded(archive)
    archive.write_bytes(content[:-8] + bytes(4) + content[-4:])  # the checksum
    with pytest.raises(DataError, match="cannot be read"):
        decoded(archive)


def test_two_tars_in_one_file_are_refused(grow: Grow, decoded: Decoded) -> None:
    one, other = (pack(grow(name, {"cat": 4, "dog": 4}), ".tar") for name in ("one", "other"))
    one.write_bytes(one.read_bytes() + other.read_bytes())
    with pytest.raises(DataError, match="unexpected data after the end of the archive"):
        decoded(one)


def test_a_name_that_is_packed_twice_is_named(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    archive = pack(tree, ".tar")
    with tarfile.open(archive) as file:
        name = next(member.name for member in file if member.name.endswith("cat/0.png"))
    with tarfile.open(archive, "a") as file:
        file.add(tree / "dog" / "0.png", name)
    with pytest.raises(DataError, match=r"cat/0\.png twice. Pack it again"):
        decoded(archive)


def test_a_zip_with_names_in_no_encoding(tmp_path: Path, decoded: Decoded) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("cät/0.png", b"")
    content = (tmp_path / "z.zip").read_bytes()
    (tmp_path / "z.zip").write_bytes(content.replace("ä".encode(), b"\xff\xfe"))
    with pytest.raises(DataError, match=r"z\.zip cannot be read"):
        decoded(tmp_path / "z.zip")


NO_LAYOUT = "Expected: train/CLASS/\\* and test/CLASS/\\*, or one folder per class"


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({}, f"holds no images. {NO_LAYOUT}"),
        ({"cat": 4}, "holds only one class"),
        ({"cat": 4, "dog": 0}, "dog/ holds no images. Fill it or remove it"),
        ({"cat": 4, "dog": 1}, 'class "dog" has 1 images, too few for 1 to train and 1 to test'),
        ({"cat": 4, "dog": 4, ".": 1}, "0.png is not inside a class folder"),
        (OFFICIAL | {"test/owl": 1}, 'class "owl" has images in test/ but none in train/'),
        (OFFICIAL | {"train/owl": 1}, 'class "owl" has images in train/ but none in test/'),
        (OFFICIAL | {"train/owl": 0}, "train/owl/ holds no images"),
        (OFFICIAL | {"val/cat": 1}, "val/cat/0.png is outside train/CLASS/ and test/CLASS/"),
        ({"train/cat": 3, "train/dog": 3}, "has train/, but no images in test/"),
        ({"train/cat": 3, "train/dog": 3, "test/cat": 0}, "has train/, but no images in test/"),
        ({"train/cat": 3, "train/dog": 3, "val/cat": 3, "val/dog": 3}, "has train/, val/, but no images in test/"),
        ({"test/cat": 3, "test/dog": 3}, "has test/, but no images in train/"),
    ],
)
@pytest.mark.parametrize("ending", ["", ".tar"])
def test_layouts_that_are_none(
    ending: str, tree: dict[str, int], said: str, grow: Grow, decoded: Decoded, tmp_path: Path
) -> None:
    (tmp_path / "pets").mkdir(exist_ok=True)
    made = grow("pets", {f"./{name}": count for name, count in tree.items() if name != "."})
    if "." in tree:
        Image.new("L", (2, 2)).save(made / "0.png")
    with pytest.raises(DataError, match=said) as caught:
        decoded(pack(made, ending) if ending else made)
    assert str(made) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_may_be_called_train(grow: Grow, decoded: Decoded) -> None:
    assert decoded(grow("vehicles", {"bus": 2, "car": 2, "train": 2})).classes == ("bus", "car", "train")


def test_counts_beside_official_splits(grow: Grow, decoded: Decoded) -> None:
    with pytest.raises(DataError, match=r"has its own train and test folders\. Leave out"):
        decoded(grow("pets", OFFICIAL), train_per_class=1)


def test_too_many_wanted(grow: Grow, decoded: Decoded) -> None:
    with pytest.raises(DataError, match='class "cat" has 4 images, too few for 3 to train and 2 to test'):
        decoded(grow("pets", {"cat": 4, "dog": 9}), train_per_class=3, test_per_class=2)


def test_nothing_there(decoded: Decoded, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.tar does not exist. Write the path of a folder, \.tar"):
        decoded(tmp_path / "nowhere.tar")


def test_a_file_that_is_no_archive(decoded: Decoded, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes\.txt cannot be read: .*It must be a folder, \.tar"):
        decoded(tmp_path / "notes.txt")


@pytest.mark.parametrize("cut", [0, 100, 512, 600, 1024])
def test_a_tar_cut_anywhere_loses_nothing_silently(cut: int, grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", {"cat": 6, "dog": 6}), ".tar")
    with tarfile.open(archive) as tar:
        start = tar.getmembers()[5].offset  # a header, behind whole members
    archive.write_bytes(archive.read_bytes()[: start + cut])
    with pytest.raises(DataError, match=r"cannot be read: (it is damaged or cut short at byte|unexpected end)"):
        decoded(archive)


def test_a_tar_damaged_between_members(grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", {"cat": 6, "dog": 6}), ".tar")
    with tarfile.open(archive) as tar:
        start = tar.getmembers()[5].offset
    content = archive.read_bytes()
    archive.write_bytes(content[: start + 20] + b"?" * 200 + content[start + 220 :])
    with pytest.raises(DataError, match=f"it is damaged or cut short at byte {start}"):
        decoded(archive)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz", ".zip"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_archives_cut_short(kept: float, ending: str, grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", {"cat": 40, "dog": 40}), ending)
    content = archive.read_bytes().rstrip(b"\0")  # a tar ends in zeros
    archive.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match=r"cannot be read: .*whole. Copy or fetch it again") as caught:
        decoded(archive)
    assert "\n" not in str(caught.value)
    assert str(archive) in str(caught.value)


def test_a_zip_with_a_password(grow: Grow, decoded: Decoded) -> None:
    archive = pack(grow("pets", OFFICIAL), ".zip")
    content = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag "encrypted" in both headers
        at = content.find(mark)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(mark, at + 4)
    archive.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        decoded(archive)


@pytest.mark.parametrize("ending", ["", ".tar.gz", ".zip"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bad.png", b"hello", "not an image"),
        ("bad.jpg", b"", "not an image"),
        ("bad.heic", b"ftypheic", "not an image"),
        ("bad.png", "cut", "cannot be decoded"),
    ],
)
def test_images_that_are_none(
    name: str, content: bytes | str, said: str, ending: str, grow: Grow, decoded: Decoded
) -> None:
    tree = grow("pets", OFFICIAL)
    whole = (tree / "train" / "cat" / "0.png").read_bytes()
    (tree / "train" / "dog" / name).write_bytes(whole[:-30] if isinstance(content, str) else content)
    path = pack(tree, ending) if ending else tree
    with pytest.raises(DataError, match=f"train/dog/{name} cannot be decoded: .*. Replace or remove it") as caught:
        decoded(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_dangling_link(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    (tree / "train" / "cat" / "gone.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"cannot be read: .*gone\.png"):
        decoded(tree)


def test_a_folder_that_may_not_be_read_does_not_vanish(
    grow: Grow, decoded: Decoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4, "owl": 4})
    scan = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "owl":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        decoded(tree)


@pytest.mark.parametrize("name", [b"owl\xff", b"owl\n"])
def test_names_that_cannot_be_shown(name: bytes, grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    os.rename(tree / "dog", os.fsencode(tree) + b"/" + name)
    with pytest.raises(DataError, match=r"'owl\\.*cannot be shown") as caught:
        decoded(tree)
    assert str(caught.value).isprintable()


def test_names_in_any_script(grow: Grow, decoded: Decoded) -> None:
    info = decoded(grow("Räume", {"Küche (alt)": 4, "お風呂": 4}))
    assert info.label == "Räume"
    assert info.classes == ("Küche (alt)", "お風呂")


@pytest.mark.parametrize(
    ("name", "label"),
    [("flowers17.tar", "flowers17"), ("a.tar.gz", "a"), ("a.tgz", "a"), ("v1.2", "v1.2"), ("b.zip", "b")],
)
def test_the_label_is_the_name(name: str, label: str) -> None:
    from asymbp_cli.datasets.readers.folder import _label

    assert _label(Path("some") / name) == label


# pictures ----------------------------------------------------------------------------------------------------


def save(image: Image.Image, path: Path, **options: object) -> bytes:
    image.save(path, **options)
    return path.read_bytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_common_mode_is_read(mode: str, channels: int, tmp_path: Path) -> None:
    ending = "tif" if mode == "CMYK" else "png"
    white = {"I;16": 65535, "RGB": (255,) * 3, "RGBA": (255,) * 4, "CMYK": (0,) * 4, "LA": (255, 255)}
    image = Image.new("L" if mode == "P" else mode, (3, 2), white.get(mode, 255))
    image = image.convert("P") if mode == "P" else image
    pixels = decode(save(image, tmp_path / f"x.{ending}"), channels, "x")
    assert pixels.shape == ((2, 3) if channels == 1 else (2, 3, 3))
    assert pixels.dtype == np.uint8
    assert (pixels == 255).all()


def test_sixteen_bits_keep_their_upper_half(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16))
    assert decode(save(image, tmp_path / "x.png"), 1, "x").tolist() == [[0, 1, 128, 255]]


def test_floats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="32 bits"):
        decode(save(Image.new("F", (2, 2), 0.5), tmp_path / "x.tif"), 1, "x")


def test_a_palette_with_transparency_warns_nobody(tmp_path: Path) -> None:
    image = Image.new("L", (2, 2), 9).convert("P")
    assert decode(save(image, tmp_path / "x.png", transparency=b"\x00\x80\xff"), 3, "x").shape == (2, 2, 3)


def test_fit_keeps_what_fits() -> None:
    grey, colour = np.arange(12, dtype=np.uint8).reshape(3, 4), np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    assert np.array_equal(fit(grey, (3, 4, 1), "squash")[:, :, 0], grey)
    assert np.array_equal(fit(grey[:, :, None], (3, 4, 1), "crop")[:, :, 0], grey)
    assert np.array_equal(fit(colour, (3, 4, 3), "squash"), colour)
    assert np.array_equal(fit(grey, (3, 4, 3), "squash"), np.stack([grey] * 3, -1))
    assert np.array_equal(
        fit(colour, (3, 4, 1), "squash")[:, :, 0], np.asarray(Image.fromarray(colour).convert("L"))
    )


def test_shrinking_is_antialiased() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    assert abs(int(fit(stripes, (8, 8, 1), "squash")[4, 4, 0]) - 127) < 10  # not 0 or 255 of one stripe


def test_squash_and_crop() -> None:
    thirds = np.repeat(np.array([[0, 100, 200]], np.uint8), 30, axis=0).repeat(30, axis=1)  # 30 x 90
    squashed, cropped = fit(thirds, (6, 6, 1), "squash"), fit(thirds, (6, 6, 1), "crop")
    assert [squashed[3, 0, 0], squashed[3, 5, 0]] == [0, 200]
    assert (cropped[:, 1:-1] == 100).all()  # the filter looks a little beyond the cut


def test_links_in_circles_end(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    before = decoded(tree)
    for name in ("one", "two"):
        (tree / "train" / "cat" / name).symlink_to(tree / "train" / "cat")
    assert decoded(tree).fingerprint == before.fingerprint


def test_a_pipe_among_the_images_is_no_image(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    os.mkfifo(tree / "train" / "cat" / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png is a pipe or device, not an image. Remove it"):
        decoded(tree)


@pytest.mark.parametrize("path", ["/dev/zero", "~nobody-of-that-name/pets", "x" * 300])
def test_what_is_no_folder(path: str, tmp_path: Path) -> None:
    with pytest.raises(AsymbpError):
        prepare(FolderSource(folder=path), (4, 6, 3), cache_dir=tmp_path)


def test_a_file_of_many_gigabytes_in_a_small_archive_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asymbp_cli.datasets.readers.tree._LARGEST_FILE", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"):
            archive.writestr(name, bytes(10_000))
    with pytest.raises(DataError, match="has 10,000 bytes, more than the 1,000 of an image"):
        prepare(FolderSource(folder=str(tmp_path / "bomb.zip")), (4, 6, 3), cache_dir=tmp_path)


def test_a_folder_that_two_classes_link_to_counts_for_both(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    shared = grow("shared", {"more": 3}) / "more"
    before = decoded(tree).train_count
    for label in ("cat", "dog"):
        (tree / "train" / label / "linked").symlink_to(shared)
    assert decoded(tree).train_count == before + 6


def test_links_that_lead_to_each_other_end(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    one, two = tree / "train" / "cat", tree / "train" / "dog"
    for i in range(3):
        (one / f"{i}-there").symlink_to(two)
        (two / f"{i}-back").symlink_to(one)
    counts = np.unique(np.load(decoded(tree).path / "y_train.npy"), return_counts=True)[1]
    cats, dogs = (len(list(folder.glob("*.png"))) for folder in (one, two))
    assert list(counts) == [cats + 3 * dogs, dogs + 3 * cats]


def test_a_folder_whose_name_cannot_be_shown_has_a_label(grow: Grow, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = grow("pets", OFFICIAL)
    odd = tree.with_name("p\udcffets\n")
    tree.rename(odd)
    monkeypatch.chdir(odd)
    info = prepare(FolderSource(folder="."), (4, 6, 3), cache_dir=odd.parent / "cache")
    assert info.label == "p\\udcffets\\n"
    assert DecodedDataset.model_validate_json(info.model_dump_json()) == info


def test_an_image_of_very_many_pixels_warns_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    Image.new("L", (10, 10)).save(tmp_path / "large.png")
    assert decode((tmp_path / "large.png").read_bytes(), 1, "large.png").shape == (10, 10)


def test_links_that_multiply_are_said(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {f"class{i}": 1 for i in range(9)})
    for i in range(9):
        for k in range(9):
            (tree / f"class{i}" / f"to{k}").symlink_to(tree / f"class{k}")
    with pytest.raises(DataError, match=r"its folders link to each other over and over\. Remove the links"):
        decoded(tree)
