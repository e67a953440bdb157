"""Files of step times: written and read again, by hand, and with mistakes."""

from pathlib import Path

import pytest
import small_study

from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.scheduling.step_times import StepTimes
from asymbp_cli.scheduling.steps_file import load_steps, write_steps
from asymbp_cli.specs.runs import StepKind

KIND = StepKind(small_study.NETWORK, "none", "all", 100, "standard")
HEAD = "device,model,network,replicas,milliseconds\n"
LINE = "cuda,a GPU,mnist,1,0.6\n"


def write(folder: Path, text: str) -> str:
    file = folder / "steps.csv"
    file.write_text(text)
    return str(file)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    direct = KIND._replace(
        batch_norm="plain", train="top", batch_size=50, precision="bf16", scheme="dfa", update="adam"
    )
    times = StepTimes(
        "cpu", "AMD, a processor", "measured", 3 << 29, {KIND: {1: 0.25, 4: 0.5}, direct: {1: 0.125}}
    )
    file = write(tmp_path, write_steps(times))
    assert load_steps(file) == StepTimes("cpu", "AMD, a processor", file, 3 << 29, times.seconds)


def test_steps_that_need_a_plugin_stay_here(tmp_path: Path) -> None:
    times = StepTimes("cpu", "a processor", "measured", None, {KIND._replace(plugins=("mine@1",)): {1: 1.0}})
    assert len(write_steps(times).splitlines()) == 1


def test_by_hand_a_name_and_the_time_are_enough(tmp_path: Path) -> None:
    steps = load_steps(write(tmp_path, "# remarks, with\n# commas\n" + HEAD + LINE + "cuda,a GPU,mnist,4,0.8\n"))
    assert steps.seconds == {KIND._replace(network=NETWORKS["mnist"].resolve(10)): {1: 0.0006, 4: 0.0008}}
    assert (steps.device, steps.model, steps.memory) == ("cuda", "a GPU", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "cuda,a GPU,mnist,1,-1\n", ":2: milliseconds: "),
        (HEAD + LINE + "cuda,a GPU,mnist,0,1\n", ":3: replicas: "),
        ("# remark\n" + HEAD + "tpu,a TPU,mnist,1,1\n", ":3: device: "),
        (HEAD + "cuda,a GPU,mnits,1,1\n", ':2: network: "mnits" is not a network. Did you mean "mnist"?'),
        (HEAD + 'cuda,a GPU,"8x8x1, Conv 99x99x1/1",1,1\n', ":2: network: layer 1"),
        (HEAD + 'cuda,a GPU,"8by8, FC 10",1,1\n', ":2: network: "),
        (HEAD + LINE.strip() + ",more\n", ":2: too many values: "),
        (HEAD + "cuda,a GPU\n", ":2: network: "),
        (HEAD.replace("replicas", "runs") + LINE, ":2: replicas: "),
        (HEAD.replace("network", "network,memory_gib") + "cuda,a GPU,mnist,1e300,1,1\n", ":2: memory_gib: "),
        (HEAD + "cuda,a GPU,mnist,1,1e300\n", ":2: milliseconds: "),
        (HEAD + f"cuda,a GPU,mnist,1{'0' * 400},1\n", ":2: replicas: "),
        (
            HEAD.replace("network", "network,scheme") + "cuda,a GPU,mnist,usf,1,1\n",
            ':2: scheme: Value error, "usf" is',
        ),
        (HEAD + f'cuda,a GPU,"{"x" * 200_000},1,1\n', "is no CSV file: field larger than field limit"),
        (HEAD, "has no rows. asymbp plan --save-steps FILE writes such a file"),
        ("", "has no rows"),
        (HEAD + LINE + LINE.replace("a GPU", "another"), "has steps of a GPU and another. Write a file for each"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_steps(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_or_no_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.csv: No such file"):
        load_steps(str(tmp_path / "none.csv"))
    (tmp_path / "steps.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        load_steps(str(tmp_path / "steps.csv"))
    with pytest.raises(
        UsageError, match=r'no measured steps "h10".* Did you mean "h100"\? Choose .*h100, or a .csv'
    ):
        load_steps("h10")


def test_the_times_that_come_with_the_tool_are_of_an_h100() -> None:
    steps = load_steps("h100")
    mnist = KIND._replace(network=NETWORKS["mnist"].resolve(10))
    assert (steps.device, steps.model) == ("cuda", "NVIDIA H100 80GB HBM3")
    assert steps.stack_seconds(mnist, 64) == pytest.approx(0.00529)  # asymbp_cli/bench/README.md
    assert steps.knows(mnist._replace(precision="bf16"))
    assert not steps.knows(KIND)


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(UsageError, match=r"/dev/zero is longer than 10,000,000 characters\. Name a \.csv file"):
        load_steps("/dev/zero")
