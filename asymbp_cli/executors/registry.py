"""The executors by name: what a file of theirs may say, and what makes them. A further one is a line here.

Their files are YAML: `executor: NAME`, and options. Those that come with the tool have the names of executors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asymbp_cli.errors import UsageError
from asymbp_cli.executors import Executor, Train
from asymbp_cli.executors.devices import check_devices
from asymbp_cli.executors.inline import InlineExecutor
from asymbp_cli.executors.options import ExecutorOptions, InlineOptions, RemoteOptions
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.executors.ray.options import RayOptions
from asymbp_cli.executors.slurm.folders import logs_directory
from asymbp_cli.executors.slurm.options import SlurmOptions
from asymbp_cli.files.paths import expand_home
from asymbp_cli.recipe.document import Document, make_document
from asymbp_cli.recipe.resources import named_files, names_a_file
from asymbp_cli.recipe.wording import quote
from asymbp_cli.recipe.yamlfile import read_yaml
from asymbp_cli.text import nearest


@dataclass(frozen=True)
class Kind:
    """An executor: the model of its options, and the function that makes it.

    It is told the options, the device of each worker, how a job is trained, and the directory of the results.
    """

    options: type[ExecutorOptions]
    make: Callable[[Any, Sequence[str], Train, Path], Executor]
    check: Callable[[Any, Path], None] = lambda options, directory: None
    """Raises AsymbpError if the executor cannot be used from here for results in a directory. Writes nothing."""


def _make_inline(options: ExecutorOptions, devices: Sequence[str], train: Train, directory: Path) -> Executor:
    return InlineExecutor(train)


def _make_processes(options: ExecutorOptions, devices: Sequence[str], train: Train, directory: Path) -> Executor:
    return ProcessExecutor(devices, train)


def _make_slurm(options: SlurmOptions, devices: Sequence[str], train: Train, directory: Path) -> Executor:
    from asymbp_cli.executors.slurm.cluster import open_cluster
    from asymbp_cli.executors.slurm.executor import SlurmExecutor

    return SlurmExecutor(open_cluster(options, logs_directory(directory)), directory, len(devices), train)


def _check_slurm(options: SlurmOptions, directory: Path) -> None:
    from asymbp_cli.executors.slurm.cluster import check_cluster

    check_cluster(options, directory)


def _make_ray(options: RayOptions, devices: Sequence[str], train: Train, directory: Path) -> Executor:
    from asymbp_cli.executors.ray.cluster import Cluster
    from asymbp_cli.executors.ray.executor import RayExecutor

    return RayExecutor(Cluster(options, len(devices)), options.resources, len(devices), train)


def _check_ray(options: RayOptions, directory: Path) -> None:
    from asymbp_cli.executors.ray.cluster import check_cluster

    check_cluster(options)


EXECUTORS: dict[str, Kind] = {
    "inline": Kind(InlineOptions, _make_inline),
    "processes": Kind(ExecutorOptions, _make_processes),
    "slurm": Kind(SlurmOptions, _make_slurm, _check_slurm),
    "ray": Kind(RayOptions, _make_ray, _check_ray),
}


def choose_executor(devices: Sequence[str], jobs: int) -> ExecutorOptions:
    """Return the executor that fits devices and the number of jobs.

    A failed capture of a CUDA graph leaves its process unusable, so a GPU is used by a worker even if it is alone.
    """
    is_parallel = min(len(devices), jobs) > 1 or devices[0].startswith("cuda")
    return ExecutorOptions(executor="processes" if is_parallel else "inline")


def make_executor(options: ExecutorOptions, devices: Sequence[str], train: Train, directory: Path) -> Executor:
    """Return a new executor for a study whose results are in a directory."""
    return EXECUTORS[options.executor].make(options, devices, train, directory)


def check_executor(options: ExecutorOptions | None, devices: Sequence[str], directory: Path) -> None:
    """Raise AsymbpError if devices or an executor cannot be used from here for results in a directory.

    Called before anything is written there.
    """
    if not isinstance(options, RemoteOptions):
        check_devices(devices)
    if options is not None:
        EXECUTORS[options.executor].check(options, directory)


def executor_files() -> dict[str, Path]:
    """Return the files of executors that come with the tool, by name."""
    return named_files("executors")


def load_executor(
    written: str | Mapping[str, Any], options: Mapping[str, object] | None = None
) -> ExecutorOptions:
    """Return the executor of a name, a file or a mapping; `options` of the command line replace what that says.

    Raises UsageError if there is none of that name, or it has no such option, RecipeError with all problems of a
    file.
    """
    document = _read(written)
    kind = _find_kind(document)
    for name, value in (options or {}).items():
        if name not in kind.options.model_fields:
            document.raise_problems()
            raise explain_owner(name)
        document.data[name] = value
        document.overridden[name,] = _option(name)
    document.root.has_only(kind.options.model_fields)
    found = document.root.validate(kind.options, document.root.select(kind.options.model_fields).value)
    document.raise_problems()
    assert found is not None
    return found


def explain_owner(name: str) -> UsageError:
    """Return the error of an option that belongs to other executors than the one that is used."""
    owners = [other for other, kind in EXECUTORS.items() if name in kind.options.model_fields]
    return UsageError(f"{_option(name)} needs --executor {' or '.join(owners)}, or a file of one")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _read(written: str | Mapping[str, Any]) -> Document:
    """Return the document that a name, a file or a mapping stands for."""
    if isinstance(written, Mapping):
        return make_document("executor", written)
    if names_a_file(written):
        return read_yaml(expand_home(written))
    files = executor_files()
    if written in files:
        return read_yaml(files[written])
    if written in EXECUTORS:
        return make_document("executor", {"executor": written})
    known = list(dict.fromkeys([*EXECUTORS, *files]))
    raise UsageError(
        f'"{written}" is not an executor; there are {", ".join(known)}, or the path of a YAML file.'
        f"{nearest(written, known)}"
    )


def _find_kind(document: Document) -> Kind:
    """Return the executor that a file names; if there is none, which is noted, that with most of its options."""
    node = document.root["executor"]
    if isinstance(node.value, str) and node.value in EXECUTORS:
        return EXECUTORS[node.value]
    hint = nearest(node.value, EXECUTORS) if isinstance(node.value, str) else ""
    node.note(f"{quote(node.value)} is not an executor; there are {', '.join(EXECUTORS)}.{hint}")
    keys = document.data.keys()
    document.data["executor"] = max(
        EXECUTORS, key=lambda name: len(keys & EXECUTORS[name].options.model_fields.keys())
    )
    return EXECUTORS[document.data["executor"]]
