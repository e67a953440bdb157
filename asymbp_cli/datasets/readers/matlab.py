"""MATLAB files, as several datasets use them for lists and labels."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asymbp_cli.errors import DataError


def load(file: Path, *names: str) -> list[NDArray[Any]]:
    """Return the arrays of these names. Raises DataError where the file is damaged or lacks one."""
    from scipy.io import loadmat

    try:
        found = loadmat(file, variable_names=names)
    except Exception as error:  # a damaged file can raise anything
        raise DataError(f"{file} cannot be read: {error}; delete it and fetch it again") from error
    if missing := [name for name in names if name not in found]:
        raise DataError(f"{file} holds no {missing[0]}; delete it and fetch it again")
    for name in names:
        if found[name].dtype.kind not in "uif" or (found[name] != np.round(found[name])).any():
            raise DataError(f"{file}: {name} holds no whole numbers; delete it and fetch it again")
    return [found[name].astype(np.int64) if found[name].dtype.kind == "f" else found[name] for name in names]
