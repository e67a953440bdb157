"""From a sound file to the features of speech frames: 40 log mel bands and log energy, with two deltas.

Frames of 25 ms every 10 ms, Hamming window, no dither, as Kaldi computes them at 16 bits; the paper gives only the
number of inputs, 1845 = 15 * 3 * 41.
"""

import io
import wave
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.errors import DataError
from asymbp_cli.text import count

RATE = 16_000  # samples per second
WINDOW, SHIFT = 400, 160  # samples: 25 and 10 ms
_BANDS = 40
_CONTEXT = 7  # frames on either side of the one in the middle


def read_samples(content: bytes, origin: str) -> NDArray[np.int16]:
    """Return the samples [N] of a SPHERE or RIFF file of 16 bits at 16 kHz; raises DataError naming `origin`."""
    if content.startswith(b"NIST_1A"):
        return _sphere(content, origin)
    if not content.startswith(b"RIFF"):
        raise DataError(f"{origin} is neither a SPHERE nor a RIFF sound file. Copy it again.")
    try:
        with wave.open(io.BytesIO(content)) as file:
            form = file.getframerate(), file.getsampwidth(), file.getnchannels()
            _check(form, origin)
            data = file.readframes(file.getnframes())
            return _check_length(np.frombuffer(data[: len(data) // 2 * 2], "<i2"), file.getnframes(), origin)
    except (wave.Error, EOFError) as error:
        reason = str(error) or "its header is cut short"
        raise DataError(f"{origin} is damaged: {reason}. Copy it again.") from error


def _sphere(content: bytes, origin: str) -> NDArray[np.int16]:
    """Read a SPHERE file: lines `NAME -TYPE VALUE` in a header whose size its second line gives, then samples."""
    try:
        size = int(content[8:16])
        lines = [line.split(None, 2) for line in content[16:size].decode("ascii").splitlines()]
        head = {line[0]: line[2].strip() for line in lines if len(line) == 3}
        count = int(head["sample_count"])
        form = int(head["sample_rate"]), int(head["sample_n_bytes"]), int(head.get("channel_count", 1))
    except (ValueError, KeyError) as error:
        raise DataError(f"{origin} has a damaged SPHERE header ({error}). Copy it again.") from error
    if head.get("sample_coding", "pcm") != "pcm":
        raise DataError(f"{origin} is compressed ({head['sample_coding']}). Unpack the corpus with sph2pipe -p")
    _check(form, origin)
    order = {"01": "<", "10": ">"}.get(head.get("sample_byte_format", ""))
    if size != 1024 or order is None:
        raise DataError(f"{origin} has a damaged SPHERE header (its size or sample_byte_format). Copy it again.")
    data = content[size : size + 2 * count]
    return _check_length(np.frombuffer(data[: len(data) // 2 * 2], f"{order}i2").astype(np.int16), count, origin)


def _check(form: tuple[int, int, int], origin: str) -> None:
    if form != (RATE, 2, 1):
        rate, width, channels = form
        form_text = f"{rate} Hz, {8 * width} bits, {count(channels, 'channel')}"
        raise DataError(f"{origin} has {form_text}, but TIMIT has 16000 Hz, 16 bits, 1 channel.")


def _check_length(sound: NDArray[Any], count: int, origin: str) -> NDArray[np.int16]:
    if count < WINDOW or len(sound) < count:
        raise DataError(f"{origin} is cut short: {len(sound)} of {count} samples. Copy it again.")
    return sound.astype(np.int16)


def make_windows(sound: NDArray[np.int16]) -> Callable[[int], NDArray[np.float32]]:
    """Return a function from a frame c to its input [1845]: frames c - 7 to c + 7, the ends repeated."""
    features = add_deltas(compute_filterbank(sound))
    frames = np.arange(-_CONTEXT, _CONTEXT + 1)

    def vector(frame: int) -> NDArray[np.float32]:
        context: NDArray[np.float32] = features[np.clip(frames + frame, 0, len(features) - 1)].ravel()
        return context

    return vector


def compute_filterbank(sound: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return log energy and 40 log mel bands of each frame [T, 41]; raises DataError without its library."""
    try:
        import kaldi_native_fbank as kaldi
    except ImportError as error:
        raise DataError("TIMIT needs kaldi-native-fbank. Type pip install 'asymbp[timit]'") from error
    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.frame_length_ms = 1000 * WINDOW / RATE
    options.frame_opts.frame_shift_ms = 1000 * SHIFT / RATE
    options.frame_opts.window_type = "hamming"
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = _BANDS
    options.use_energy = True
    computer = kaldi.OnlineFbank(options)
    computer.accept_waveform(RATE, sound.astype(np.float32).tolist())
    computer.input_finished()
    return np.stack([np.array(computer.get_frame(i)) for i in range(computer.num_frames_ready)])


def add_deltas(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features [T, D] with their slopes and the slopes of these [T, 3 D]."""
    first = _slopes(features)
    return np.concatenate([features, first, _slopes(first)], axis=1)


def _slopes(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the slope at each frame of the line through the 5 frames around it, the ends repeated."""
    padded = np.pad(features, ((2, 2), (0, 0)), mode="edge")
    earlier2, earlier, later, later2 = (padded[2 + n : len(padded) - 2 + n] for n in (-2, -1, 1, 2))
    slopes: NDArray[np.float32] = (((later - earlier) + 2 * (later2 - earlier2)) / 10).astype(np.float32)
    return slopes
