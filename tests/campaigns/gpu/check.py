"""Measure a GPU: python tests/campaigns/gpu/check.py agree|times|kernels|micro [SECONDS]."""

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), os.getcwd()]


def main() -> int:
    """Run one part and return 0 if it found nothing wrong."""
    part = sys.argv[1]
    seconds = next((float(word) for word in sys.argv[2:] if word.replace(".", "").isdigit()), 60.0)
    if part == "agree":
        from agree import agree as run
    elif part == "times":
        from times import times as run
    elif part == "kernels":
        from kernels import kernels as run
    elif part == "micro":
        from micro import micro as run
    else:
        raise SystemExit(f"{part} is no part; there are agree, times, kernels and micro")
    return 0 if run(seconds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
