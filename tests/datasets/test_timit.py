"""TIMIT from sound files to classes and inputs."""

import builtins
import dataclasses
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from miniature_timit import PHONES, SPEAKERS, riff, segments, speech, sphere, write_timit

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.readers import timit
from asymbp_cli.datasets.readers.base import Absent, OpenDataset
from asymbp_cli.datasets.readers.timit_features import add_deltas, compute_filterbank, make_windows, read_samples
from asymbp_cli.datasets.resident import load
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.networks import network_for
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.engine import train_stack

SMALL = timit.Construction(units=6, train=20, test=10, utterances=(4, 4))
NOISE = speech(6000, 1)


def opened(root: Path, construction: timit.Construction = SMALL) -> OpenDataset:
    located = timit.locate(root, construction)
    assert located is not None
    return located.open()


def content(found: OpenDataset) -> dict[tuple[str, int], bytes]:
    return {(split, position): vector.tobytes() for split, position, vector in found.images(1845)}


# sound ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file", [sphere(NOISE), sphere(NOISE, sample_byte_format="-s2 10"), riff(NOISE)], ids=["little", "big", "riff"]
)
def test_sound_files_hold_the_same_samples(file: bytes) -> None:
    assert np.array_equal(read_samples(file, "x"), NOISE)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (sphere(NOISE)[:-3], "x is cut short: 5998 of 6000 samples"),
        (sphere(NOISE, sample_coding="-s26 pcm,embedded-shorten-v2.00"), "is compressed .* sph2pipe"),
        (sphere(NOISE, sample_rate="-i 8000"), "8000 Hz, 16 bits, 1 channel, but TIMIT has 16000 Hz"),
        (riff(NOISE, 44_100), "44100 Hz"),
        (riff(NOISE)[:-4], "cut short"),
        (riff(NOISE)[:20], "damaged"),
        (riff(NOISE)[:-1], "cut short"),
        (sphere(NOISE, sample_count="-i 0"), "cut short"),
        (sphere(NOISE, sample_byte_format="-s1 1"), "damaged SPHERE header"),
        (sphere(NOISE).replace(b"   1024", b"    512"), "damaged SPHERE header"),
        (sphere(NOISE).replace(b"sample_count", b"sample_kount"), "damaged SPHERE header"),
        (b"NIST_1A\nxx", "damaged SPHERE header"),
        (b"ID3 mp3", "neither a SPHERE nor a RIFF"),
    ],
)
def test_damaged_sound_is_named(file: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_samples(file, "x")


# features ------------------------------------------------------------------------------------------------------


def test_the_filterbank_against_its_definition() -> None:
    """Window, spectrum, mel bands and energy by themselves, from Kaldi's formulas (HTK's mel scale)."""
    found = compute_filterbank(NOISE)
    assert found.shape == (1 + (len(NOISE) - 400) // 160, 41)
    for t in (0, 7):
        frame = NOISE[160 * t : 160 * t + 400].astype(float)
        frame -= frame.mean()
        energy = np.log((frame**2).sum())
        emphasized = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        spectrum = np.abs(np.fft.rfft(emphasized * np.hamming(400), 512)) ** 2
        mel = 1127 * np.log1p(np.arange(257) * 16_000 / 512 / 700)
        edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 42)
        bands = [
            np.log(
                (
                    np.clip(np.minimum((mel - a) / (b - a), (c - mel) / (c - b)), 0, None)[:256] * spectrum[:256]
                ).sum()
            )
            for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)
        ]
        assert found[t, 0] == pytest.approx(energy, abs=1e-3)
        assert found[t, 1:] == pytest.approx(bands, abs=2e-3)


def test_deltas_are_slopes() -> None:
    line = np.outer(np.arange(30), [1.0, -2.0]).astype(np.float32)
    found = add_deltas(line)
    assert found.shape == (30, 6)
    assert found[4:-4] == pytest.approx(np.hstack([line, np.tile([1, -2, 0, 0], (30, 1))])[4:-4])
    assert found[0, 2] == pytest.approx((1 * 1 + 2 * 2) / 10)  # the first frame repeated before it


def test_an_input_is_fifteen_frames_with_the_ends_repeated() -> None:
    features = add_deltas(compute_filterbank(NOISE))
    vector = make_windows(NOISE)
    assert vector(10).shape == (1845,)
    assert np.array_equal(vector(10), features[3:18].ravel())
    first, last = vector(2).reshape(15, 123), vector(len(features) - 1).reshape(15, 123)
    assert np.array_equal(first, features[[0, 0, 0, 0, 0, *range(10)]])
    assert np.array_equal(last[7:], np.tile(features[-1], (8, 1)))


# classes -------------------------------------------------------------------------------------------------------


def test_frames_belong_to_the_third_that_holds_their_centre(tmp_path: Path) -> None:
    found = timit._units(b"0 1600 h#\n1600 2560 sh\n2560 4000 iy\n", 25, "x")
    centres = 160 * np.arange(25) + 200
    for centre, unit in zip(centres, found, strict=True):
        if centre >= 4000:
            assert unit == -1
            continue
        (start, end, label) = next(
            s for s in ((0, 1600, "h#"), (1600, 2560, "sh"), (2560, 4000, "iy")) if centre < s[1]
        )
        third = 1 + int(centre >= start + (end - start) / 3) + int(centre >= start + 2 * (end - start) / 3)
        assert timit.UNITS[unit] == f"{label}/{third}"


def test_every_sample_is_a_frame_of_its_class(tmp_path: Path) -> None:
    write_timit(tmp_path)
    found = opened(tmp_path)
    assert len(found.classes) == SMALL.units
    assert list(found.classes) == sorted(found.classes)
    assert {name.split("/")[0] for name in found.classes} <= set(PHONES)
    candidates: dict[bytes, tuple[str, str]] = {}  # input -> split and unit, from the sounds themselves
    seed = 0
    for split, speakers in SPEAKERS.items():
        for _ in speakers:
            for sentence in ("SA1", "SI1027", "SX37"):
                seed += 1
                sound = speech(2000 + 8000 * len(PHONES), seed)
                vector = make_windows(sound)
                for start, end, label in segments(len(sound)):
                    for t in range((len(sound) - 400) // 160 + 1):
                        centre = 160 * t + 200
                        if start <= centre < end and sentence != "SA1":
                            unit = f"{label}/{1 + 3 * (centre - start) // (end - start)}"
                            candidates[vector(t).tobytes()] = (split.lower(), unit)
    labels = {"train": found.train_labels, "test": found.test_labels}
    samples_found = content(found)
    assert len(samples_found) == len(set(samples_found.values())) == 6 * 20 + 6 * 10
    for (split, position), vector in samples_found.items():
        assert candidates[vector] == (split, found.classes[labels[split][position]])


@pytest.mark.parametrize("form", [{"lower": True}, {"in_riff": True}, {"archive": True}, {"nested": True}])
def test_other_copies_give_the_same_draw(form: dict[str, bool], tmp_path: Path) -> None:
    write_timit(tmp_path / "plain")
    form = dict(form)
    archive, nested = form.pop("archive", False), form.pop("nested", False)
    folder = write_timit(tmp_path / "other", **form)
    if archive:
        with tarfile.open(tmp_path / "other" / "TIMIT.tar.gz", "w:gz") as tar:
            tar.add(folder, "TIMIT")
        shutil.rmtree(folder)
    if nested:
        shutil.move(folder, tmp_path / "other" / "there")
        shutil.move(tmp_path / "other" / "there", folder / "TIMIT")
    one, other = opened(tmp_path / "plain"), opened(tmp_path / "other")
    assert one.classes == other.classes
    assert content(one) == content(other)


def test_the_papers_numbers_and_every_label() -> None:
    assert timit.Construction() == timit.Construction(80, 400, 100, (3696, 1344))
    row = CATALOG["timit"]
    assert (row.classes, row.train_count, row.test_count) == (80, 80 * 400, 80 * 100)
    assert len(set(timit.LABELS)) == 61
    assert len(timit.UNITS) == 183


def test_from_files_to_normalized_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_timit(tmp_path)
    monkeypatch.setattr(timit.locate, "__defaults__", (SMALL,))
    changed = dataclasses.replace(CATALOG["timit"], classes=6, train_count=120, test_count=60)
    monkeypatch.setitem(CATALOG, "timit", changed)
    info = prepare("timit", (1845,), DataSource(data_dir=tmp_path, cache_dir=tmp_path / "cache"))
    assert (info.shape, info.label, info.paper_name, info.exact) == ((1845,), "TIMIT-80", "TIMIT80", False)
    data = load(info)
    x, y = data.batch(data.train, torch.arange(120))
    assert x.shape == (120, 1845)
    assert x.mean(0).abs().max() < 1e-4
    assert (x.std(0, correction=0) - 1).abs().max() < 1e-4
    assert y.bincount().tolist() == [20] * 6
    run = Run(
        dataset=info.fingerprint,
        network=network_for("timit").resolve(6),
        method=parse_method("brSF+BN+BM"),
        protocol=Protocol(epochs=1, batch_norm_batches=1),
        rate_multiplier=0.1,
        seed=0,
    )
    (ended,) = [event for event in train_stack(Stack((run,)), data) if isinstance(event, EpochEnded)]
    assert (ended.train_seen, ended.test_seen, ended.diverged) == (120, 60, False)
    again = prepare("timit", (1845,), DataSource(data_dir=tmp_path, cache_dir=tmp_path / "cache"))
    assert again.fingerprint == info.fingerprint


# what is wrong is named ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "replacement", "said"),
    [
        ("TRAIN/DR1/FCJF0/SX37.PHN", None, r"TRAIN/DR1/FCJF0/SX37 has a \.WAV file, but no \.PHN"),
        ("TEST/DR7/MDLF0/SI1027.WAV", None, r"TEST/DR7/MDLF0/SI1027 has a \.PHN file, but no \.WAV"),
        ("TEST/DR1/FELC0/SX37.PHN", b"0 9 h#\nsh\n", r'SX37\.PHN:2: "sh" is not START END PHONE'),
        ("TEST/DR1/FELC0/SX37.PHN", b"0 9 hh#\n", r'SX37\.PHN:1: "0 9 hh#"'),
        ("TEST/DR1/FELC0/SX37.PHN", b"9 9 iy\n", r"SX37\.PHN:1"),
        ("TEST/DR1/FELC0/SX37.PHN", b"", "fewer than two phones"),
        ("TEST/DR1/FELC0/SX37.PHN", b"0 9 h#\n5 20 sh\n3 30 iy\n", r"SX37\.PHN:3"),
        ("TEST/DR1/FELC0/SX37.PHN", b"0 9 h#\n9 900000 sh\n", r"SX37\.PHN:2 ends at 900000, long after its audio"),
        ("TEST/DR1/FELC0/SX37.PHN", b"0 9 h#\n9 99999999999 sh\n", r"SX37\.PHN:2"),
        ("TEST/DR1/FELC0/SX37.WAV", b"half", r"TIMIT:TEST/DR1/FELC0/SX37\.WAV is neither"),
    ],
)
def test_what_is_wrong_is_named(path: str, replacement: bytes | None, said: str, tmp_path: Path) -> None:
    file = write_timit(tmp_path) / path
    file.unlink() if replacement is None else file.write_bytes(replacement)
    with pytest.raises(DataError, match=said):
        opened(tmp_path)


def test_half_a_corpus_is_said(tmp_path: Path) -> None:
    folder = write_timit(tmp_path)
    with pytest.raises(DataError, match=r"only 1[0-9] of the 183 thirds of phones have 50 frames"):
        opened(tmp_path, timit.Construction(units=80, train=50, test=10, utterances=(4, 4)))
    shutil.rmtree(folder / "TEST")
    with pytest.raises(DataError, match=r"holds no TEST/DR1/SPEAKER/SENTENCE\.WAV"):
        opened(tmp_path)
    assert timit.locate(tmp_path / "elsewhere") == Absent()


def test_mixed_up_corpora_are_said(tmp_path: Path) -> None:
    folder = write_timit(tmp_path)
    shutil.copytree(folder / "TRAIN" / "DR1" / "FCJF0", folder / "TEST" / "DR1" / "FCJF0")
    with pytest.raises(DataError, match="speaker FCJF0 is in TRAIN and in TEST"):
        opened(tmp_path)
    shutil.rmtree(folder / "TEST" / "DR1" / "FCJF0")
    shutil.copytree(folder / "TEST", folder / "BACKUP" / "TEST")
    with pytest.raises(DataError, match=r"holds TEST/DR1/FELC0/SI1027/PHN twice|SI1027.* twice: BACKUP"):
        opened(tmp_path)
    shutil.rmtree(folder / "BACKUP")
    shutil.rmtree(folder / "TRAIN" / "DR8")
    with pytest.raises(DataError, match="holds 2 SX and SI sentences to train and 4 to test, not 4 and 4"):
        opened(tmp_path)


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "kaldi_native_fbank":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DataError, match=r"pip install 'asymbp\[timit\]'"):
        compute_filterbank(NOISE)
