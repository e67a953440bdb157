"""The devices of a study: one for each worker. No torch; GPUs are asked by processes of their own."""

from collections.abc import Sequence
from dataclasses import replace

from asymbp_cli.errors import AsymbpError, MissingDeviceError, UsageError
from asymbp_cli.events import Provenance
from asymbp_cli.machine import ALL_GPUS, count_workers
from asymbp_cli.results.provenance import collect, describe_unbegun
from asymbp_cli.training.probe import facts_if_usable, list_gpus, probe_devices


def choose_devices(names: tuple[str, ...], workers: int | None) -> tuple[str, ...]:
    """Return the device of each worker, of names as `parse_devices` returns them.

    A single `cpu` has as many workers, by default one per core that there is memory for. Raises DeviceError if all
    GPUs are meant and there is none, UsageError if the names say another number of workers.
    """
    if names == ("cpu",):
        return names * (workers or count_workers())
    if names[0] == "cpu" and workers not in (None, len(names)):
        raise UsageError(f'"{",".join(names)}" names {len(names)} workers already. Leave out --workers')
    return list_gpus() if names == (ALL_GPUS,) else names


def check_devices(devices: Sequence[str]) -> None:
    """Raise DeviceError if a device is not here, or none can be used; others train without those that cannot."""
    found = probe_devices(device for device in devices if device != "cpu")
    errors = [answer for answer in found.values() if isinstance(answer, AsymbpError)]
    missing = [error for error in errors if isinstance(error, MissingDeviceError)]
    if missing or (errors and len(errors) == len(found)):
        raise (missing or errors)[0]


def collect_provenance(devices: Sequence[str], *, is_remote: bool = False) -> Provenance:
    """Return the provenance of trainings on one of some devices, as known before a worker says where it is.

    Of other machines nothing is known before.
    """
    if is_remote:
        return describe_unbegun(devices[0])
    found = [_collect(device) for device in dict.fromkeys(devices)]
    return replace(found[0], device=" or ".join(each.device for each in found))


def _collect(device: str) -> Provenance:
    facts = facts_if_usable(device) if device.startswith("cuda") else None
    return collect(device, facts.model if facts else None)
