"""Loads the plugins of a command: files that it names, and installed packages. Without any, no torch."""

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

#: of the entry points of packages, each of which names a module
GROUP = "asymbp.plugins"


def load_plugins(files: Sequence[Path] = ()) -> None:
    """Load installed plugins, then `files`. Raises PluginError."""
    installed = entry_points(group=GROUP)
    if not (files or installed):
        return
    from asymbp_cli.plugins.loading import load_file, load_installed

    load_installed(installed)
    for file in files:
        load_file(file)
