"""`python -m asymbp_cli`, which puts the working directory first on the path: its files must not be imported."""

import sys

if __name__ == "__main__":
    from pathlib import Path

    first = None if sys.flags.safe_path else sys.path.pop(0)
    if first is not None and Path(first) == Path(__file__).parents[1]:
        sys.path.append(first)  # a checkout that is not installed: workers find it behind everything else

    from asymbp_cli.cli.app import main

    main()
