"""The start of the `asymbp` command, and of `python -m asymbp_cli`."""

import os
import sys

# nothing here multiplies matrices with NumPy, and without memory for its threads OpenBLAS interrupts the process
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run the command line; interrupted while it is still being imported, it says so."""
    try:
        from asymbp_cli.cli.interruption import handle_interruptions

        handle_interruptions()
        from asymbp_cli.cli import app
    except KeyboardInterrupt:
        from asymbp_cli.cli.interruption import leave

        print("asymbp: interrupted", file=sys.stderr)
        leave()
    app.main()


def _forget_working_directory() -> None:
    """Take the working directory, which `python -m` puts first, from the path: its files must not be imported."""
    from pathlib import Path

    first = None if sys.flags.safe_path else sys.path.pop(0)
    if first is not None and Path(first) == Path(__file__).parents[1]:
        sys.path.append(first)  # a checkout that is not installed: workers find it behind everything else


if __name__ == "__main__":
    _forget_working_directory()
    main()
