"""Train a table for a while, and bring home what there is: reproduce.py SECONDS RESULTS [options of the command].

After SECONDS the training is stopped by SIGTERM. The store, the table as CSV and as markdown then go to $OUT.
With a `results.tgz` of an earlier call beside this file or in `.gpu/`, the study continues.
"""

import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

_COMMAND = [sys.executable, "-m", "asymbp_cli"]
_GRACE = 15.0  # seconds to end by itself after it was told to


def _unpack(results: Path) -> None:
    for packed in (Path(__file__).with_name("results.tgz"), Path(".gpu/results.tgz")):
        if packed.is_file() and not results.exists():
            results.mkdir(parents=True)
            with tarfile.open(packed) as archive:
                archive.extractall(results, filter="data")


def _train(seconds: float, results: Path, options: list[str]) -> int:
    process = subprocess.Popen([*_COMMAND, "reproduce", *options, "--results", str(results)])
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
    for kind, target in (("csv", results / "table.csv"), ("markdown", out / "table.md")):
        done = subprocess.run(
            [*_COMMAND, "report", "--to", kind, "--results", str(results)], capture_output=True, text=True
        )
        print(done.stderr, end="", flush=True)
        target.write_text(done.stdout)
    with tarfile.open(out / "results.tgz", "w:gz") as archive:
        for file in sorted(results.iterdir()):
            if file.is_file():
                archive.add(file, file.name)
    print(*(out / "table.md").read_text().splitlines()[:40], sep="\n", flush=True)


def main() -> int:
    """Return the exit code of the training; 143 if it was stopped."""
    seconds, results, options = float(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    out = Path(os.environ.get("OUT", "/tmp/out"))
    out.mkdir(parents=True, exist_ok=True)
    _unpack(results)
    code = _train(seconds, results, options)
    print(f"reproduce: exit {code}", flush=True)
    if results.exists():
        _report(results, out)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
