"""Processes that are started: what they import, and which signals reach them."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from asymbp_cli.spawn import interruptions, known_package, spawn

ROOT = Path(__file__).parents[1]
STRANGE = ("signal", "socket", "threading", "yaml")  # of the standard library, and an installed one
BY_PYTHON_M = ("re", "types")  # which `python -m` itself imports, before any of ours
RECIPE = """
dataset: digits
network: {input: 8x8x1, layers: [FC 4, FC classes]}
method: [SGD, BM]
protocol: {extends: demo, epochs: 1, rate_multipliers: [1]}
"""


def tell_blocked(pipe: "Connection") -> None:
    """Send the signals that are blocked, before anything could block them."""
    pipe.send(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def test_no_interruption_reaches_the_first_process_nor_the_second() -> None:
    code = f"""
import sys; sys.path.insert(0, {str(ROOT / "tests")!r})
from asymbp_cli.spawn import spawn, interruptions
from test_spawn import tell_blocked
if __name__ == "__main__":
    for _ in range(2):
        process, pipe = spawn(tell_blocked)
        print(set(interruptions()) <= pipe.recv())
        process.join()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")


def test_this_process_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    process, pipe = spawn(tell_blocked)
    assert set(interruptions()) <= pipe.recv()
    process.join()
    assert "PYTHONSAFEPATH" not in os.environ
    assert not set(interruptions()) & signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="not run: this system lists no open files")
def test_a_process_that_has_ended_leaves_no_open_file() -> None:
    """A program that trains study after study would run out of them."""
    counts = []
    for _ in range(3):
        process, pipe = spawn(tell_blocked)
        pipe.recv()
        pipe.close()
        process.join()
        del process, pipe
        gc.collect()
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    assert counts[1:] == counts[:1] * 2


@pytest.mark.parametrize(
    ("start", "names"),
    [(["asymbp"], (*STRANGE, *BY_PYTHON_M)), ([sys.executable, "-m", "asymbp_cli"], STRANGE)],
    ids=["asymbp", "python -m"],
)
def test_no_file_of_the_working_directory_is_imported(
    tmp_path: Path, start: list[str], names: tuple[str, ...]
) -> None:
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"open('imported-{name}', 'w').close()\n")
    (tmp_path / "two.yaml").write_text(RECIPE)
    found = shutil.which(start[0], path=Path(sys.executable).parent)
    if found is None:
        pytest.skip("the command is not installed")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONSAFEPATH", None)
    command = [found, *start[1:], "train", "--recipe", "two.yaml", "--workers", "2", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.glob("imported-*")) == []


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """The main script runs once: a process does not import it, unless it needs something of it."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from multiprocessing.connection import Connection\n"
        "from asymbp_cli.spawn import spawn\n"
        "print('begins')\n"
        "process, pipe = spawn(Connection.send, 'told')\n"
        "print(pipe.recv(), sys.modules['__main__'].__file__ == __file__)\n"
    )
    done = subprocess.run(
        [sys.executable, script], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("begins\ntold True\n", "")
    script.write_text(
        "from asymbp_cli.spawn import spawn\n"
        "def tell(pipe): pipe.send('told')\n"
        "if __name__ == '__main__': print(spawn(tell)[1].recv())\n"
    )
    done = subprocess.run(
        [sys.executable, script], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("told\n", "")


def test_what_is_started_imports_the_package_from_a_checkout_that_is_not_installed(tmp_path: Path) -> None:
    """As a job of a cluster does, which knows nothing of the working directory of its driver."""
    (tmp_path / "asymbp_cli").symlink_to(ROOT / "asymbp_cli")
    code = f"""
import os, subprocess, sys; sys.path.insert(0, {str(tmp_path)!r})
from asymbp_cli.spawn import known_package
ask = [sys.executable, "-P", "-c", "import asymbp_cli; print(asymbp_cli.__file__)"]
with known_package():
    subprocess.run(ask)
    print(os.environ["PYTHONPATH"], flush=True)
print(os.environ["PYTHONPATH"])
"""
    elsewhere = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=elsewhere, cwd="/", capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{tmp_path}/asymbp_cli/__init__.py", f"{tmp_path}:{ROOT}", str(ROOT)]


def test_an_installed_package_needs_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with known_package():
        assert os.environ["PYTHONPATH"] == str(ROOT)
