"""Where files are: those that come with the tool (`recipes/`), and those that users name."""

import os
from pathlib import Path

from asymbp_cli.files.paths import exists, expand_home


def recipes_directory() -> Path:
    """Return the directory `recipes/`: inside an installed package, otherwise at the top of a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def named_files(folder: str) -> dict[str, Path]:
    """Return the YAML files in a folder of `recipes/` by name, in the order of names."""
    files = (recipes_directory() / folder).glob("*.yaml")
    return {file.stem: file for file in sorted(files, key=lambda file: file.stem)}


def names_a_file(text: str) -> bool:
    """Return whether text in place of a name is the path of a YAML file."""
    return "/" in text or text.endswith((".yaml", ".yml"))


def find_file(name: str, folder: Path) -> Path:
    """Return the file at a path, seen as `find_path` says, with `~` expanded."""
    return expand_home(find_path(name, folder))


def find_path(path: str, folder: Path) -> str:
    """Return `path`, seen from `folder` (a recipe's) if it leads nowhere from the working directory."""
    is_in_folder = not exists(expand_home(path)) and exists(folder / path)
    return str(folder / path) if is_in_folder else path


def is_inline(text: object) -> bool:
    """Return whether text in place of a path is the content of such a file itself: `{dataset: digits, ...}`."""
    return isinstance(text, str | os.PathLike) and os.fspath(text).lstrip().startswith("{")
