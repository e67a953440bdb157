"""This process as a driver of Ray: connected to a cluster, or to one of its own. Ray is imported here alone."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from asymbp_cli.errors import AsymbpError, UsageError
from asymbp_cli.executors.devices import check_devices
from asymbp_cli.executors.ray.options import RayOptions
from asymbp_cli.files.own_folder import own_folder
from asymbp_cli.spawn import interruptions, known_package

_OPENING_SECONDS = 3.0
_ANSWERING_SECONDS = 30.0  # of a cluster, for a Python that must start first
_GB = 1 << 30
_LONGEST_TEMPORARY = 24  # characters; the paths of sockets below it may have 107

#: this tool says what happens to workers; nothing is sent to the makers of Ray; a busy machine starts it slowly;
#: workers are as important as those of the other executors
_SETTINGS = {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_worker_niceness": "0",
}


def import_ray() -> Any:
    """Return the package; raises UsageError if it is not installed."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"--executor ray needs Ray, which is not installed ({error}). Type: pip install 'asymbp[ray]'"
        ) from error
    return ray


def check_cluster(options: RayOptions) -> None:
    """Raise UsageError if Ray is not installed, or the cluster does not answer.

    Raises DeviceError if a Ray of the study's own needs a GPU, and none is here.
    """
    import_ray()
    if options.address is None and "GPU" in options.resources:
        check_devices(("cuda:0",))
    if options.address is not None and not (_is_open(options.address) and _is_healthy(options.address)):
        raise UsageError(
            f"no Ray cluster answers at {options.address}. Start one with ray start --head, or write the address "
            "that this has printed (its port is 6379 unless you chose another one)"
        )


def _is_open(address: str) -> bool:
    """Return whether somebody listens at an address; Ray itself would try for minutes."""
    if address == "auto":
        return True
    host, _, port = address.rpartition(":")
    with suppress(OSError, OverflowError), socket.create_connection((host, int(port)), _OPENING_SECONDS):
        return True
    return False


def _is_healthy(address: str) -> bool:
    """Return whether it is Ray that listens."""
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        return subprocess.run(command, capture_output=True, timeout=_ANSWERING_SECONDS).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


class Cluster:
    """The connection to a cluster, until `close`. Raises UsageError if there is none, or it is too small.

    One that this process had already, as in a notebook, is used and left open.
    """

    def __init__(self, options: RayOptions, workers: int) -> None:
        self.ray = import_ray()
        self._options = options
        self._folders = ExitStack()
        self.folder: Path | None = None
        """Where workers write, if that is known."""
        self._was_open = self.ray.is_initialized()
        try:
            if not self._was_open:
                self._connect(workers)
            self._head: str = self.ray.get_runtime_context().gcs_address
            self._check_size()
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """What to call the cluster in messages."""
        return f"the Ray cluster at {self._options.address}" if self._options.address else "Ray"

    def _connect(self, workers: int) -> None:
        given: dict[str, Any] = {"address": self._options.address}
        if self._options.address is None:
            long = len(tempfile.gettempdir()) > _LONGEST_TEMPORARY
            parent = Path("/tmp" if long else tempfile.gettempdir())
            self.folder = self._folders.enter_context(own_folder(parent, "ray-"))
            given = {
                "address": "local",
                "num_cpus": workers,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
                "_temp_dir": str(self.folder),
            }
        try:
            with _undisturbed(), known_package():
                self.ray.init(**given, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # of any class: Ray documents none
            words = " ".join(str(error).split())
            raise UsageError(
                f"{self.name} cannot be used from here: {words}. Run the command on a node of the cluster, with "
                "the versions of Ray and Python that it has"
            ) from error

    def _check_size(self) -> None:
        """Raise UsageError if no worker fits into the cluster."""
        found = self.ray.cluster_resources()
        if any(found.get(name, 0.0) < count for name, count in self._options.resources.items()):
            has, takes = _describe({"CPU": 0.0, "GPU": 0.0} | found), _describe(self._options.resources)
            raise UsageError(
                f"{self.name} has {has}, and a worker takes {takes}. Add a node to it, or choose another --device "
                "or less memory"
            )

    def answers(self) -> bool:
        """Return whether the head of the cluster can be reached."""
        return _is_open(self._head)

    def explain_end(self) -> AsymbpError:
        """Return the error of a cluster that is gone."""
        return AsymbpError(
            f"{self.name} does not answer any more. What came after the last checkpoints is lost. Once it is "
            "back, run the same command again to resume"
        )

    def close(self) -> None:
        """Leave the cluster, and end it if it is this process's own."""
        if not self._was_open:
            self.ray.shutdown()
        self._folders.close()


def _describe(resources: dict[str, float]) -> str:
    """Return resources of a worker or of a cluster; it has others, which are left out."""
    words = [f"{resources[name]:g} {name}" for name in ("CPU", "GPU") if name in resources]
    words += [f"{resources['memory'] / _GB:.1f} GB of memory"] if "memory" in resources else []
    return " and ".join(words)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ray start without what it does to this process: its warnings, its handler of SIGTERM.

    Workers of Ray import files of the working directory of their driver: it starts in one that has none. A closed
    terminal ends this process alone, which then ends Ray.
    """
    is_main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in interruptions()} if is_main else {}
    directory, errors = os.getcwd(), os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])  # which the processes of Ray inherit
    try:
        os.chdir("/")
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.chdir(directory)
        os.dup2(errors, 2)
        os.close(errors)
        for number, handler in handlers.items():
            signal.signal(number, handler)
