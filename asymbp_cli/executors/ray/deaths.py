"""Why a worker of Ray is gone, in the words of this tool."""

import re

from asymbp_cli import __version__
from asymbp_cli.errors import UsageError
from asymbp_cli.executors import Failure

_CANNOT_IMPORT = re.compile(r"No module named '(asymbp_cli[^']*)'|cannot import name .* from '(asymbp_cli[^']*)'")
_OUT_OF_MEMORY = re.compile(r"running low on memory|Ray killed this worker")


def explain_death(error: BaseException) -> Failure:
    """Return why no message follows, by the error of Ray. Raises UsageError if a node has no asymbp."""
    text = str(error)
    if _CANNOT_IMPORT.search(text):
        raise UsageError(
            "a node of the Ray cluster has no asymbp, or an older one. Type there, in the Python of Ray: "
            f"pip install asymbp=={__version__}"
        ) from error
    if type(error).__name__ == "OutOfMemoryError" or _OUT_OF_MEMORY.search(text):
        return Failure("Ray ended the worker, since the memory of its node ran out", text, out_of_memory=True)
    cause = getattr(error, "cause", None)
    if type(error).__name__.startswith("RayTaskError") and cause:
        return Failure(f"{type(cause).__name__}: {cause}", text)
    what = "its node is gone" if "node has died" in text else "its process died"
    return Failure(f"the worker in the Ray cluster was lost: {what}", text or None, lost_worker=True)
