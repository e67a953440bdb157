"""TIMIT-80: speech frames in 80 classes.

The paper (section 5) says only: 80 classes, 400 samples of each to train and 100 to test, 1845 inputs. 1845 is 15
frames of 40 mel bands and energy with two deltas (`timit_features`). No set of 80 labels is known, so the classes
are our own construction: each segment of the 61 phone labels is cut into equal thirds, which gives 183 units; of
those with enough frames 80 are drawn, and of each its frames. A frame belongs to the third that holds its centre.
The sentences SA1 and SA2, which everybody reads, are left out; training frames come from the training speakers,
test frames from the test speakers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.readers.base import Absent, FoundDataset, Image, OpenDataset, SplitName, find_first
from asymbp_cli.datasets.readers.timit_features import SHIFT, WINDOW, make_windows, read_samples
from asymbp_cli.datasets.readers.tree import Tree
from asymbp_cli.datasets.splits import permutation
from asymbp_cli.errors import DataError

_PHONCODE = (  # TIMIT's phoncode.doc
    "b d g p t k dx q bcl dcl gcl kcl pcl tcl jh ch s sh z zh f th v dh m n ng em en eng nx l r w y hh hv el "
    "iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h pau epi h#"
)
LABELS = tuple(_PHONCODE.split())
UNITS = tuple(f"{label}/{third}" for label in LABELS for third in (1, 2, 3))
_BEYOND = 1600  # samples by which a last phone may end after its audio
_FILE = re.compile(r"(?:.*/)?(TRAIN|TEST)/(DR[1-8]/[FM][A-Z]{3}[0-9]/S[IX][0-9]+)\.(PHN|WAV|WAV\.WAV)")


@dataclass(frozen=True)
class Construction:
    """How many units are drawn, and how many frames of each."""

    units: int = 80
    train: int = 400
    test: int = 100
    utterances: tuple[int, int] = (3696, 1344)  # of TRAIN and TEST, 8 of each of 462 and 168 speakers


@dataclass(frozen=True)
class Utterance:
    """One sentence of one speaker: the names of its files, and the unit of each frame (-1: none)."""

    split: SplitName
    name: str  # DR1/FCJF0/SI1027
    audio: str
    units: NDArray[np.int64]


def locate(root: Path, construction: Construction = Construction()) -> FoundDataset | Absent:
    """Return TIMIT from `root`, a folder or archive with TRAIN/ and TEST/ in upper or lower case."""
    path = find_first(root, "TIMIT", "timit", "TIMIT.zip", "timit.zip", "TIMIT.tar.gz", "timit.tgz", "TIMIT.tar")
    if path is None:
        return Absent()
    tree = Tree(path)
    source = [tree.source(), repr(construction)]
    return FoundDataset.of(CATALOG["timit"], source, lambda: _open(tree, construction), path, exact=False)


def _open(tree: Tree, construction: Construction) -> OpenDataset:
    utterances = sorted(_utterances(tree), key=lambda utterance: (utterance.split, utterance.name))
    counts = [sum(utterance.split == split for utterance in utterances) for split in ("train", "test")]
    if tuple(counts) != construction.utterances:
        raise DataError(
            f"{tree.path} holds {counts[0]} SX and SI sentences to train and {counts[1]} to test, not "
            f"{construction.utterances[0]} and {construction.utterances[1]}. Copy it again."
        )
    frames = {split: _frames(utterances, split) for split in ("train", "test")}
    units = _draw_units(tree, frames, construction)
    labels: dict[str, NDArray[np.int64]] = {}
    by_audio: dict[str, list[tuple[SplitName, int, int]]] = {}  # audio file -> split, position, frame
    splits: tuple[SplitName, ...] = ("train", "test")
    for split in splits:
        count = getattr(construction, split)
        labels[split] = np.repeat(np.arange(len(units)), count)
        for k, unit in enumerate(units):
            places = np.flatnonzero(frames[split][:, 0] == UNITS.index(unit))
            order = permutation(len(places), 0, "timit", split, unit)[:count]
            for i, place in enumerate(np.sort(places[order])):
                _, utterance, frame = frames[split][place].tolist()
                by_audio.setdefault(utterances[utterance].audio, []).append((split, k * count + i, frame))

    def images(features: int) -> Iterator[Image]:
        for name, content in tree.read(set(by_audio)):
            vectors = make_windows(read_samples(content, f"{tree.path}:{name}"))
            for split, position, frame in by_audio[name]:
                yield split, position, vectors(frame)

    return OpenDataset(units, labels["train"], labels["test"], images)


def _utterances(tree: Tree) -> Iterator[Utterance]:
    """Yield every utterance except the SA sentences; raises DataError if files are missing or damaged."""
    files: dict[tuple[str, str, str], str] = {}
    for name in tree.names():
        if match := _FILE.fullmatch(name.upper()):
            part = match[1], match[2], match[3]
            if part in files:
                raise DataError(
                    f"{tree.path} holds {'/'.join(part[:2])} twice: {files[part]} and {name}. Remove one."
                )
            files[part] = name
    phones = {(split, name): file for (split, name, kind), file in files.items() if kind == "PHN"}
    audio = {(split, name): file for (split, name, kind), file in files.items() if kind == "WAV.WAV"}
    audio |= {(split, name): file for (split, name, kind), file in files.items() if kind == "WAV"}
    for split in ("TRAIN", "TEST"):
        if not any(key[0] == split for key in audio):
            raise DataError(
                f"{tree.path} holds no {split}/DR1/SPEAKER/SENTENCE.WAV. Copy TIMIT as the LDC distributes it."
            )
    if odd := sorted(audio.keys() ^ phones.keys()):
        have, lacks = (".WAV", ".PHN") if odd[0] in audio else (".PHN", ".WAV")
        raise DataError(f"{tree.path}: {'/'.join(odd[0])} has a {have} file, but no {lacks}. Copy it again.")
    speakers = [{name.split("/")[1] for split, name in audio if split == which} for which in ("TRAIN", "TEST")]
    if both := sorted(speakers[0] & speakers[1]):
        raise DataError(f"{tree.path}: speaker {both[0]} is in TRAIN and in TEST. Copy it again.")
    texts = dict(tree.read(set(phones.values())))
    key_of = {name: key for key, name in audio.items()}
    for name, content in tree.read(set(key_of)):
        key = key_of[name]
        count = 1 + (len(read_samples(content, f"{tree.path}:{name}")) - WINDOW) // SHIFT
        units = _units(texts[phones[key]], max(count, 0), f"{tree.path}:{phones[key]}")
        yield Utterance("train" if key[0] == "TRAIN" else "test", key[1], name, units)


def _units(content: bytes, count: int, origin: str) -> NDArray[np.int64]:
    """Return the unit of each of `count` frames, an index of `UNITS`; -1 if no segment holds its centre."""
    units = np.full(count, -1, np.int64)
    centres = np.arange(count) * SHIFT + WINDOW // 2
    before = 0
    for number, line in enumerate(content.decode("ascii", "replace").splitlines(), start=1):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s+([0-9]{1,9})\s+(\S+)\s*", line)
        if match is None or match[3] not in LABELS or not before <= int(match[1]) < int(match[2]):
            raise DataError(f'{origin}:{number}: "{line[:60]}" is not START END PHONE of TIMIT. Copy it again.')
        start, end = int(match[1]), int(match[2])
        before = start
        inside = (centres >= start) & (centres < end)
        thirds = 3 * (centres[inside] - start) // (end - start)
        units[inside] = 3 * LABELS.index(match[3]) + thirds
        if end > count * SHIFT + WINDOW + _BEYOND:
            raise DataError(f"{origin}:{number} ends at {end}, long after its audio. Copy it again.")
    if not before:
        raise DataError(f"{origin} names fewer than two phones. Copy it again.")
    return units


def _frames(utterances: list[Utterance], split: SplitName) -> NDArray[np.int64]:
    """Return [N, 3] of (unit, utterance, frame), in the order of utterances and frames."""
    parts = [
        np.stack([u.units, np.full(len(u.units), i), np.arange(len(u.units))], axis=1)
        for i, u in enumerate(utterances)
        if u.split == split
    ]
    return np.concatenate(parts)


def _draw_units(tree: Tree, frames: dict[str, NDArray[np.int64]], construction: Construction) -> tuple[str, ...]:
    counts = {split: np.bincount(rows[:, 0] + 1, minlength=len(UNITS) + 1)[1:] for split, rows in frames.items()}
    enough = (counts["train"] >= construction.train) & (counts["test"] >= construction.test)
    eligible = sorted(unit for unit, is_enough in zip(UNITS, enough, strict=True) if is_enough)
    if len(eligible) < construction.units:
        raise DataError(
            f"{tree.path}: only {len(eligible)} of the {len(UNITS)} thirds of phones have {construction.train} "
            f"frames of training and {construction.test} of test speakers, {construction.units} are needed; "
            "is the copy whole?"
        )
    order = permutation(len(eligible), 0, "timit", "units")[: construction.units]
    return tuple(sorted(eligible[i] for i in order))
