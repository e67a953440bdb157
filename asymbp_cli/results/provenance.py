"""Where and with what a run was trained: host, device, software versions, state of the checkout. No torch."""

import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import NamedTuple

from asymbp_cli import __version__
from asymbp_cli.errors import WorkerError
from asymbp_cli.events import Provenance
from asymbp_cli.files.paths import shorten_path
from asymbp_cli.machine import processor
from asymbp_cli.results.summaries import PLUGIN
from asymbp_cli.specs.references import Plugin
from asymbp_cli.specs.runs import SEMANTICS

_PACKAGES = ("torch", "numpy", "safetensors", "scikit-learn", "pillow", "pydantic")


def collect(device: str, details: str | None = None, instruction_set: str | None = None) -> Provenance:
    """Return the provenance of trainings by this process on `device`; `details` are those of a GPU."""
    return Provenance(
        host=platform.node(),
        device=_describe_device(device, details),
        software=read_versions(),
        git=read_git_state(),
        semantics=SEMANTICS,
        instruction_set=instruction_set,
    )


def describe_unbegun(device: str) -> Provenance:
    """Return the provenance of an attempt that no worker has begun: it has no host, and this program's version."""
    software = {"asymbp": __version__}
    return Provenance(host="", device=device.split(":")[0], software=software, git=None, semantics=SEMANTICS)


def add_plugins(provenance: Provenance, plugins: Iterable[Plugin]) -> Provenance:
    """Return the provenance of trainings that use plugins, with the SHA-256 of each."""
    hashes = {f"{PLUGIN}{plugin.make_absolute().name}": plugin.sha256 for plugin in plugins}
    return replace(provenance, software={**provenance.software, **hashes})


class Program(NamedTuple):
    """What decides the numbers of runs: the version of asymbp, and that of the numbers, `SEMANTICS`."""

    version: str | None
    semantics: int

    @classmethod
    def of(cls, provenance: Provenance) -> "Program":
        """Return the program that a provenance names."""
        return cls(provenance.software.get("asymbp"), provenance.semantics)


THIS_PROGRAM = Program(__version__, SEMANTICS)


def check_same_program(host: str, worker: Program, study: Program) -> None:
    """Raise WorkerError if the worker on a host is of another version: its runs could have other numbers."""
    if worker != study:
        raise WorkerError(
            f"the worker on {host} has asymbp {worker.version} (semantics {worker.semantics}), and the study is "
            f"of asymbp {study.version} (semantics {study.semantics}). Install the same version on all machines, "
            "then run the same command again"
        )


def _describe_device(device: str, details: str | None) -> str:
    details = details or (processor() if device == "cpu" else None)
    return f"{device} ({details})" if details else device


@cache
def read_versions() -> dict[str, str]:
    """Return the versions that decide the bits, without importing the packages."""
    versions = {"asymbp": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = installed_version(package)
        except PackageNotFoundError:
            continue
    return versions


def describe_software(software: Mapping[str, str]) -> str:
    """Return the packages and plugins that a process trained with, and their versions."""
    plugins = {name for name in software if name.startswith(PLUGIN)}
    short = {name: f"{PLUGIN}{shorten_path(name.removeprefix(PLUGIN))}" for name in plugins}
    return ", ".join(f"{short.get(name, name)} {version}" for name, version in software.items())


@cache
def read_git_state() -> str | None:
    """Return the commit that this package is checked out from, with "(changed)" if files differ."""
    package = Path(__file__).resolve().parent.parent
    root = _git(package, "rev-parse", "--show-toplevel")
    if root is None or Path(root).resolve() != package.parent:
        return None  # installed, perhaps inside somebody's checkout of something else
    commit = _git(package, "rev-parse", "HEAD")
    changed = _git(package, "status", "--porcelain", "--untracked-files=no", ".")
    return commit and commit + (" (changed)" if changed else "")


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        process = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
