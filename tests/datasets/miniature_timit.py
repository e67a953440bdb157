"""TIMIT in its true layout, with few speakers and noise for speech."""

import io
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SPEAKERS = {"TRAIN": (("DR1", "FCJF0"), ("DR8", "MTCS0")), "TEST": (("DR1", "FELC0"), ("DR7", "MDLF0"))}
SENTENCES = ("SA1", "SI1027", "SX37")
PHONES = ("h#", "sh", "iy", "hv", "ae", "dcl", "y")  # of a sentence, each half a second but the first and last


def speech(length: int, seed: int) -> NDArray[np.int16]:
    """Return noise whose loudness grows."""
    noise = np.random.default_rng(seed).normal(size=length)
    return (noise * np.linspace(200, 3000, length)).astype(np.int16)


def sphere(sound: NDArray[np.int16], **changes: str) -> bytes:
    """Return a NIST SPHERE file."""
    fields = {
        "sample_count": f"-i {len(sound)}",
        "sample_rate": "-i 16000",
        "sample_n_bytes": "-i 2",
        "channel_count": "-i 1",
        "sample_byte_format": "-s2 01",
        "sample_coding": "-s3 pcm",
    } | changes
    head = "NIST_1A\n   1024\n" + "".join(f"{name} {value}\n" for name, value in fields.items()) + "end_head\n"
    order = ">i2" if fields["sample_byte_format"].endswith("10") else "<i2"
    return head.encode().ljust(1024) + sound.astype(order).tobytes()


def riff(sound: NDArray[np.int16], rate: int = 16_000) -> bytes:
    """Return a RIFF file."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.astype("<i2").tobytes())
    return content.getvalue()


def segments(length: int) -> list[tuple[int, int, str]]:
    """Return (start, end, phone) in samples."""
    ends = [2000 + 8000 * k for k in range(len(PHONES) - 1)] + [length]
    return list(zip([0, *ends[:-1]], ends, PHONES, strict=True))


def write_timit(root: Path, *, lower: bool = False, in_riff: bool = False) -> Path:
    """Write the corpus below `root`, with names in lower case, or as RIFF `X.WAV.wav`; return its folder."""
    seed = 0
    for split, speakers in SPEAKERS.items():
        for region, speaker in speakers:
            for sentence in SENTENCES:
                seed += 1
                sound = speech(2000 + 8000 * len(PHONES), seed)
                lines = "".join(f"{start} {end} {phone}\n" for start, end, phone in segments(len(sound)))
                audio = (".WAV.wav", riff(sound)) if in_riff else (".WAV", sphere(sound))
                for ending, content in (audio, (".PHN", lines.encode()), (".TXT", b"0 1 words\n")):
                    name = f"TIMIT/{split}/{region}/{speaker}/{sentence}{ending}"
                    file = root / (name.lower() if lower else name)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content)
    return root / ("timit" if lower else "TIMIT")
