"""Executors by name, from files and from mappings, with options of the command line."""

from pathlib import Path

import pytest

from asymbp_cli.errors import AsymbpError, RecipeError, UsageError
from asymbp_cli.executors.options import ExecutorOptions, parse_memory
from asymbp_cli.executors.ray.options import RayOptions
from asymbp_cli.executors.registry import EXECUTORS, executor_files, load_executor
from asymbp_cli.executors.slurm.options import SlurmOptions, SlurmParameters, parse_seconds


def write(directory: Path, text: str) -> str:
    path = directory / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_has_a_name_and_perhaps_a_file(name: str) -> None:
    found = load_executor(name)
    assert found.executor == name
    assert type(found) is EXECUTORS[name].options


def test_the_files_that_come_with_the_tool_have_the_names_of_executors() -> None:
    assert executor_files().keys() == {"ray", "slurm"} <= EXECUTORS.keys()


def test_options_of_the_command_replace_those_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, 'executor: slurm\nworkers: 3\ntime: "1:00:00"\ndevice: cuda\nslurm: {mem: 4GB}\n')
    found = load_executor(file, {"workers": 5, "partition": "gpu"})
    assert found == SlurmOptions(
        workers=5, time="1:00:00", device="cuda:0", partition="gpu", slurm=SlurmParameters(mem="4GB")
    )
    assert load_executor({"executor": "processes", "workers": 2}) == ExecutorOptions(
        executor="processes", workers=2
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("executor: slrm\n", r'mine\.yaml:1: executor: "slrm" is not an executor; .*Did you mean "slurm"\?'),
        ("workers: 2\n", r"mine\.yaml:1: executor: nothing is not an executor"),
        ("executor: slurm\npartitoin: x\n", r'mine\.yaml:2: partitoin: unknown key\. Did you mean "partition"\?'),
        ("executor: slurm\nslurm: {acount: x}\n", r'mine\.yaml:2: slurm\.acount: .*Did you mean "account"\?'),
        ("executor: slurm\ntime: soon\n", r'mine\.yaml:2: time: "soon" is not a time\. Write minutes'),
        ("executor: slurm\ntime: 0\n", r"mine\.yaml:2: time: .*leaves no time to train"),
        ("executor: slurm\ndevice: gpu\n", r'mine\.yaml:2: device: "gpu" is not a device'),
        ("executor: inline\npartition: x\n", r"mine\.yaml:2: partition: unknown key"),
        ("executor: slurm\ndevice: cuda:1\n", r"mine\.yaml:2: device: .*the cluster chooses the GPU"),
        ("executor: slurm\nmemory: 16\n", r"mine\.yaml:2: memory: "),
        (
            "executor: slurm\nmemory: 16 PB\n",
            r'mine\.yaml:2: memory: "16 PB" is not an amount of memory\. Write 16 GB',
        ),
        ("executor: ray\nmemory: 0 GB\n", r'mine\.yaml:2: memory: "0 GB" is not an amount'),
        (
            "executor: slurm\nmemory: 2 GB\nslurm: {mem: 4GB}\n",
            r"memory is asked for twice\. Leave out memory, or",
        ),
        ("executor: slurm\ntime: 1\nslurm: {signal_delay_s: 60}\n", r"saves at once, .*Give it more time"),
        ("executor: processes\nmemory: 1 GB\n", r"mine\.yaml:2: memory: unknown key"),
        ("executor: processes\nworkers: 0\n", r"mine\.yaml:2: workers: .*greater than or equal to 1"),
        ("executor: processes\nworkers: 10001\n", r"mine\.yaml:2: workers: .*less than or equal to 10000"),
        ("executor: slurm\nworkers: 10001\n", r"mine\.yaml:2: workers: .*less than or equal to 10000"),
        ("executor: ray\nworkers: 10001\n", r"mine\.yaml:2: workers: .*less than or equal to 10000"),
        ("executor: inline\ndevice: cuda:all\n", r'mine\.yaml:2: device: "cuda:all" is several devices'),
        (f"executor: slurm\nmemory: {'9' * 400} TB\n", r"mine\.yaml:2: memory: .* is not an amount of memory"),
        ("executor: slurm\ntime: 3651-00\n", r'mine\.yaml:2: time: "3651-00" is more than ten years'),
        (f"executor: slurm\ntime: '{'9' * 5000}'\n", r"mine\.yaml:2: time: .* is not a time"),
        ("executor: inline\nworkers: 2\n", r"mine\.yaml:2: workers: .*less than or equal to 1"),
        (
            "executor: slurm\ndevice: cuda:1\n",
            r'mine\.yaml:2: device: "cuda:1" is for this machine: .* Write cuda or cpu',
        ),
        (
            "executor: ray\ndevice: cuda:1\n",
            r'mine\.yaml:2: device: "cuda:1" is for this machine: .* Write cuda or cpu',
        ),
        ("executor: inline\ndevice: cpu,cpu\n", r'mine\.yaml:2: device: "cpu,cpu" is several devices'),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_executor(write(tmp_path, text))


def test_what_is_wrong_on_the_command_line_is_named() -> None:
    with pytest.raises(UsageError, match=r'"slrm" is not an executor; .*Did you mean "slurm"\?'):
        load_executor("slrm")
    with pytest.raises(UsageError, match=r"--partition needs --executor slurm, or a file of one"):
        load_executor("processes", {"partition": "gpu"})
    with pytest.raises(RecipeError, match=r'^--time: "soon" is not a time'):
        load_executor("slurm", {"time": "soon"})
    with pytest.raises(AsymbpError, match=r"none\.yaml: there is no such file"):
        load_executor("none.yaml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (90, 5400),
        ("90", 5400),
        ("1:30", 90),
        ("2:00:00", 7200),
        ("1-12", 129600),
        ("1-0:30", 88200),
        ("0-0:0:5", 5),
    ],
)
def test_times_are_those_of_sbatch(text: str | int, seconds: int) -> None:
    assert parse_seconds(text) == seconds


def test_parameters_of_jobs() -> None:
    assert SlurmOptions(time="0:30").make_parameters() == {
        "job_name": "asymbp",
        "cpus_per_task": 1,
        "signal_delay_s": 15,
        "time": 1,
        "additional_parameters": {"no-requeue": True},
    }
    gpu = SlurmOptions(device="cuda", partition="a", slurm=SlurmParameters(setup=("module load cuda",)))
    assert gpu.make_parameters()["gpus_per_node"] == 1
    assert gpu.make_parameters()["partition"] == "a"
    assert gpu.make_parameters()["setup"] == ["module load cuda"]
    assert gpu.make_parameters()["signal_delay_s"] == 60
    other = SlurmOptions(device="cuda", slurm=SlurmParameters(gres="gpu:a100:1"))
    assert "gpus_per_node" not in other.make_parameters()


@pytest.mark.parametrize(
    ("text", "count"), [("16 GB", 16 << 30), ("1.5gb", 3 << 29), ("800MB", 800 << 20), ("2 TB", 2 << 40)]
)
def test_memory_is_counted_as_slurm_does(text: str, count: int) -> None:
    assert parse_memory(text) == count


def test_memory_of_a_worker_is_asked_for_unless_it_is_that_of_a_gpu() -> None:
    assert SlurmOptions(memory="1.5 GB").make_parameters()["mem"] == "1536MB"
    assert "mem" not in SlurmOptions(memory="80 GB", device="cuda").make_parameters()
    assert RayOptions(memory="2 GB").resources == {"CPU": 1.0, "memory": float(2 << 30)}
    assert RayOptions(memory="80 GB", device="cuda").resources == {"CPU": 1.0, "GPU": 1.0}
