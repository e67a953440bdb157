"""Where the files that come with the tool lie: recipes, protocols, tables, the paper's numbers."""

from pathlib import Path


def recipes_directory() -> Path:
    """Return the directory `recipes/`: inside an installed package, else at the top of a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"
