"""Runs `ray_scenarios.py` where only the loopback interface exists: Ray binds the addresses that it finds."""

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_OWN = ["unshare", "-rn", "--pid", "--fork", "--kill-child", "--mount-proc"]  # nothing outlives it
_ALONE = [*_OWN, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
_SCENARIOS = Path(__file__).with_name("ray_scenarios.py")


def why_not() -> str | None:
    """Return why no cluster can be had here."""
    if not find_spec("ray"):
        return "Ray is not installed"
    if not shutil.which("unshare") or subprocess.run([*_ALONE, "true"], capture_output=True).returncode:
        return "no network of its own can be made here, and Ray would use the machine's"
    return None


def run_scenarios(folder: Path, *names: str, seconds: float = 600) -> dict[str, Any]:
    """Return what the studies have come to; raises RuntimeError with what was printed if there is no answer."""
    command = [*_ALONE, sys.executable, str(_SCENARIOS), str(folder), *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
