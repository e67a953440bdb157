"""A job made portable: as JSON, which an asymbp of another version can read far enough to say so."""

import json
import platform
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.transfer import Fetch, receive
from asymbp_cli.errors import StoreError
from asymbp_cli.executors import Job
from asymbp_cli.files.patience import patiently
from asymbp_cli.results.provenance import THIS_PROGRAM, Program, check_same_program
from asymbp_cli.specs.references import Plugin
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training import resume
from asymbp_cli.training.weight_files import KeepWeights, weights_directory


@dataclass(frozen=True)
class Package:
    """A job for `read_job`, and the checkpoints that its runs continue from, by run."""

    job: bytes
    checkpoints: Mapping[str, bytes]


def pack(job: Job) -> Package:
    """Return a job with all that another machine needs but the dataset. Raises StoreError."""
    runs = [run.id for run in job.stack.runs] if job.stack.start_epoch else []
    try:
        saved = {run_id: patiently(resume.checkpoint_path(job.checkpoints, run_id).read_bytes) for run_id in runs}
    except OSError as error:
        raise StoreError(
            f"cannot read the checkpoint {error.filename}: {error.strerror}. Run the same command again"
        ) from error
    return Package(write_job(job), saved)


def unpack(package: Package, folder: Path, fetch: Fetch) -> Job:
    """Return the job, to be trained in a folder of the worker's own, where its checkpoints are now.

    `fetch` returns the arrays of its dataset if this machine does not have them. Raises WorkerError if the driver
    has another version, DataError, StoreError.
    """
    job = read_job(package.job, folder)
    job = replace(job, info=receive(job.info, fetch))
    for run_id, content in package.checkpoints.items():
        resume.write(job.checkpoints, run_id, content, durable=False)
    return job


def write_job(job: Job) -> bytes:
    """Return a job as JSON, without its directories."""
    content = {
        **THIS_PROGRAM._asdict(),
        "runs": {run.id: run.model_dump(mode="json") for run in job.stack.runs},
        "start_epoch": job.stack.start_epoch,
        "info": job.info.model_dump(mode="json"),
        "device": job.device,
        "checkpoint_seconds": job.checkpoint_seconds,
        "graphs": job.graphs,
        "keep": job.keep and job.keep.which,
        "plugins": [[plugin.label, b64encode(plugin.source).decode(), plugin.module] for plugin in job.plugins],
    }
    return json.dumps(content).encode()


def read_job(content: bytes, directory: Path) -> Job:
    """Return the job that `write_job` has written; checkpoints and weights are below `directory`.

    Raises WorkerError if another version wrote it, StoreError if it is damaged.
    """
    try:
        found = json.loads(content)
        check_same_program(platform.node(), THIS_PROGRAM, Program(found["version"], found["semantics"]))
        runs = tuple(Run.model_validate_json(json.dumps(run)) for run in found["runs"].values())
        if [run.id for run in runs] != list(found["runs"]):
            raise ValueError("its runs have other ids")
        return Job(
            Stack(runs, found["start_epoch"]),
            DecodedDataset.model_validate_json(json.dumps(found["info"])),
            found["device"],
            directory / "checkpoints",
            found["checkpoint_seconds"],
            graphs=found["graphs"],
            keep=KeepWeights(found["keep"], weights_directory(directory)) if found["keep"] else None,
            plugins=tuple(Plugin(label, b64decode(source), module) for label, source, module in found["plugins"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"the description of a job is damaged: {error}. Run the same command again") from error
