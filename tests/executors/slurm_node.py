"""A SLURM of one node, from Debian's packages, with loopback as its only network.

`slurm_node.py DIRECTORY COMMAND...` runs a command on it: root may do so, if the system lets it make namespaces.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scancel", "unshare", "ip")
#: namespaces of its own for the network, the name and the processes, which all end with the command
_UNSHARE = ("unshare", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
_CONFIG = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge/socket
CredType=cred/munge
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=10
SlurmdTimeout=10
InactiveLimit=0
NodeName=localhost NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
PartitionName=other Nodes=localhost MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Return why no SLURM can run here; empty if it can."""
    gone = [name for name in PROGRAMS if shutil.which(name) is None]
    if gone:
        return f"there is no {', '.join(gone)} (apt-get install slurmctld slurmd slurm-client munge iproute2)"
    if os.getuid() != 0:
        return "only root may start a SLURM of its own"
    allowed = subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False)
    return "" if allowed.returncode == 0 else "this system makes no namespaces"


def in_namespace(directory: Path, *command: str) -> list[str]:
    """Return a command that runs another one on a SLURM of its own."""
    return [*_UNSHARE, sys.executable, __file__, str(directory), *command]


def _wait(condition: str, directory: Path) -> None:
    for _ in range(100):
        if subprocess.run(condition, shell=True, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in directory.glob("*.log"))
    raise RuntimeError(f"waited in vain for {condition}\n{logs}")


@contextmanager
def slurm(directory: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run the daemons of a SLURM; yields them by name."""
    for name in ("state", "spool", "munge"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    config = directory / "slurm.conf"
    config.write_text(_CONFIG.format(directory=directory))
    key = directory / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    os.environ["SLURM_CONF"] = str(config)
    munge = directory / "munge"
    commands = {
        "munged": [
            *("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge}/socket"),
            *(f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed"),
        ],
        "slurmctld": ["slurmctld", "-D"],
        "slurmd": ["slurmd", "-D"],
    }
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            with (directory / f"{name}.out.log").open("wb") as log:
                running[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            if name == "munged":
                _wait(f"test -S {munge}/socket", directory)
        _wait("sinfo --noheader -o %T | grep -q idle", directory)
        yield running
    finally:
        for process in reversed(running.values()):
            process.terminate()
        for process in running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # with 127.0.0.1 alone no name is looked up as SLURM does it
    subprocess.run(["ip", "address", "add", "127.0.0.2/8", "dev", "lo"], check=True)
    subprocess.run(["hostname", "localhost"], check=True)
    with slurm(Path(sys.argv[1])):
        raise SystemExit(subprocess.run(sys.argv[2:], check=False).returncode)
