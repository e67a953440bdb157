"""MATLAB files, which several datasets use for lists and labels."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.errors import DataError


def load(file: Path, *names: str) -> list[NDArray[Any]]:
    """Return the arrays of these names. Raises DataError if the file is damaged or lacks one."""
    from scipy.io import loadmat

    try:
        content = loadmat(file, variable_names=names)
    except Exception as error:  # a damaged file can raise anything
        raise DataError(f"{file} cannot be read: {error}. Delete it and fetch it again.") from error
    if missing := [name for name in names if name not in content]:
        raise DataError(f"{file} holds no {missing[0]}. Delete it and fetch it again.")
    for name in names:
        if content[name].dtype.kind not in "uif" or (content[name] != np.round(content[name])).any():
            raise DataError(f"{file}: {name} holds no whole numbers. Delete it and fetch it again.")
    return [content[name].astype(np.int64) if content[name].dtype.kind == "f" else content[name] for name in names]
