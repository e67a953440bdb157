"""Processes that use a GPU: workers, failures, whole commands. Skipped if there is no GPU."""

import os
import subprocess
import sys
from pathlib import Path

import fake_engine
import pytest
import small_study
import torch
from gpu_runs import make_runs

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.events import RunFinished
from asymbp_cli.executors import Job, StackFailed
from asymbp_cli.executors.processes import ProcessExecutor
from asymbp_cli.executors.retry import supervise
from asymbp_cli.results.store import Store
from asymbp_cli.specs.runs import Stack

pytestmark = pytest.mark.gpu


def test_a_capture_that_fails_is_replaced_by_a_fresh_process(digits_info: DecodedDataset, tmp_path: Path) -> None:
    job = Job(Stack(make_runs(digits_info, "SGD", "uSF")), digits_info, "cuda:0", tmp_path, 0.0)
    executor = ProcessExecutor(["cuda:0"], fake_engine.reads_in_captures)
    try:
        found = list(supervise(executor, [job]))
    finally:
        executor.cancel()
    (failure,) = [report for report in found if isinstance(report, StackFailed)]
    assert failure.remedy == "without CUDA graphs"
    assert "a CUDA graph could not be captured" in failure.message
    assert {e.run for e in found if isinstance(e, RunFinished)} == {run.id for run in job.stack.runs}


_SHORT_OF_MEMORY = """
import torch
from asymbp_cli.bench.steps import Steps
from asymbp_cli.training.device import open_device, set_precision
from asymbp_cli.errors import ran_out_of_memory
device = open_device("cuda")
torch.cuda.set_per_process_memory_fraction({bytes} / torch.cuda.get_device_properties(device).total_memory)
try:
    Steps("cifar", ["uSF"] * 64, device)
    print("it fits")
except Exception as error:
    behind = error
    while behind is not None:
        print(type(behind).__name__, behind)
        behind = behind.__cause__ or behind.__context__
    print(ran_out_of_memory(error))
"""


@pytest.mark.parametrize("gib", [0.5, 2.5])
def test_too_little_memory_is_recognized_in_a_step_and_in_a_capture(gib: float) -> None:
    code = _SHORT_OF_MEMORY.format(bytes=gib * 2**30)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.split()[-1] in ("True", "fits"), done.stdout + done.stderr
    if gib < 1:
        assert done.stdout.split()[-1] == "True"


def test_a_command_trains_on_the_gpu_and_says_on_which(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "asymbp_cli"]
    options = ["--device", "cuda", "--results", str(tmp_path / "results"), "--set", "protocol.epochs=3"]
    done = subprocess.run(
        [*command, "reproduce", "--table", "2", *options], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 runs to train on cuda:0 with 1 worker: the first epochs will show how long" in done.stderr
    assert "CUDA graph" not in done.stderr  # none failed
    report = [*command, "report", "--to", "markdown", "--results", str(tmp_path / "results")]
    text = subprocess.run(report, capture_output=True, text=True, check=True).stdout
    assert torch.cuda.get_device_name(0) in text
    again = subprocess.run(
        [*command, "reproduce", "--table", "2", *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert again.returncode == 0, again.stderr


def test_a_study_in_this_process_opens_no_gpu(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import small_study\n"
        "from pathlib import Path\n"
        "if __name__ == '__main__':\n"
        "    small_study.train_digits(Path(sys.argv[2]), Path(sys.argv[3]), devices=('cuda:0',))\n"
        "    torch = sys.modules.get('torch')\n"
        "    print(torch is not None and torch.cuda.is_initialized())\n"
    )
    script = tmp_path / "study.py"
    script.write_text(code)
    here = [str(Path(small_study.__file__).parent), str(tmp_path / "results"), os.environ["ASYMBP_CACHE"]]
    done = subprocess.run(
        [sys.executable, str(script), *here], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.stdout.strip() == "False", done.stdout + done.stderr


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="not run: there are no two GPUs")
def test_two_gpus_train_a_study_and_each_run_says_on_which(tmp_path: Path) -> None:
    gpus = ("cuda:0", "cuda:1")
    small_study.train_digits(tmp_path, tmp_path / "cache", devices=gpus, max_replicas=lambda run: 1)
    with Store.open(tmp_path, create=False) as store:
        attempts = [attempt for run in store.runs() for attempt in store.run(run.id).attempts]
    assert {attempt.outcome for attempt in attempts} == {"finished"}
    assert {attempt.device.partition(" ")[0] for attempt in attempts} == set(gpus)
