"""Train for a while, and bring home what there is: reproduce.py SECONDS RESULTS COMMAND [-- COMMAND ...].

Each COMMAND is one of asymbp's with its options, without `--results`. They run one after the other; after SECONDS
training is stopped by SIGTERM. Then RESULTS.tgz (the store, and its tables as CSV) goes to $OUT, and RESULTS.md
with the tables. With such a file of an earlier call beside this one or in `.gpu/`, the study continues.
"""

import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

_COMMAND = [sys.executable, "-m", "asymbp_cli"]
_GRACE = 15.0  # seconds to end by itself after it was told to


def _unpack(results: Path) -> None:
    for directory in (Path(__file__).parent, Path(".gpu")):
        packed = directory / f"{results.name}.tgz"
        if packed.is_file() and not results.exists():
            results.mkdir(parents=True)
            with tarfile.open(packed) as archive:
                archive.extractall(results, filter="data")


def _train(seconds: float, command: list[str], results: Path) -> int:
    process = subprocess.Popen([*_COMMAND, *command, "--results", str(results)])
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        print("reproduce: time is up", flush=True)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _report(results: Path, out: Path) -> None:
    tables = out / f"{results.name}.md"
    for kind, target in (("csv", results / "tables.csv"), ("markdown", tables)):
        done = subprocess.run(
            [*_COMMAND, "report", "--to", kind, "--results", str(results)], capture_output=True, text=True
        )
        print(done.stderr, end="", flush=True)
        target.write_text(done.stdout)
    with tarfile.open(out / f"{results.name}.tgz", "w:gz") as archive:
        for file in sorted(results.iterdir()):
            if file.is_file():
                archive.add(file, file.name)
    print(*tables.read_text().splitlines()[:40], sep="\n", flush=True)


def _split(words: list[str]) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for word in words:
        if word == "--":
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def main() -> int:
    """Return the exit code of the last command; 143 if it was stopped."""
    until, results = time.monotonic() + float(sys.argv[1]), Path(sys.argv[2])
    out = Path(os.environ.get("OUT", "/tmp/out"))
    out.mkdir(parents=True, exist_ok=True)
    _unpack(results)
    code = 0
    for command in _split(sys.argv[3:]):
        if (left := until - time.monotonic()) > 1:
            code = _train(left, command, results)
            print(
                f"reproduce: {' '.join(command)}: exit {code}, {left - until + time.monotonic():.0f} s", flush=True
            )
    if results.exists():
        _report(results, out)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
