"""One step of 64 replicas of the MNIST network, kernel by kernel, and whether they overlap."""

import gzip
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common import DEVICE, GPU, OUT, sync
from torch.profiler import ProfilerActivity, profile

from asymbp_cli.bench.steps import Steps
from asymbp_cli.training.device import open_device


def _kernels(made: Steps) -> list[dict[str, Any]]:
    step, batch = made.trainer.step, made.batches[0]
    for _ in range(3):
        step(batch)
    sync()
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if GPU else [])]
    with profile(activities=kinds, acc_events=True) as found:
        step(batch)
        sync()
    with TemporaryDirectory() as directory:
        trace = Path(directory) / "trace.json"
        found.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    wanted = ("kernel", "gpu_memcpy", "gpu_memset") if GPU else ("cpu_op",)
    return [event for event in events if event.get("cat") in wanted]


def _busy(kernels: list[dict[str, Any]]) -> float:
    """Return the microseconds in which at least one kernel runs."""
    edges = sorted([(e["ts"], 1) for e in kernels] + [(e["ts"] + e["dur"], -1) for e in kernels])
    busy, depth, last = 0.0, 0, edges[0][0]
    for at, change in edges:
        busy += (at - last) * (depth > 0)
        depth, last = depth + change, at
    return busy


def kernels(seconds: float) -> bool:
    """Profile one captured step; return whether there was anything to see."""
    made = Steps("mnist", ["uSF"] * (64 if GPU else 2), open_device(DEVICE))
    found = _kernels(made)
    if not found:
        print("kernels: none", flush=True)
        return False
    OUT.mkdir(parents=True, exist_ok=True)
    with gzip.open(OUT / "trace.json.gz", "wt") as file:
        json.dump([[e["name"][:90], e["ts"], e["dur"], e.get("args", {}).get("stream")] for e in found], file)
    total = sum(e["dur"] for e in found)
    span = max(e["ts"] + e["dur"] for e in found) - min(e["ts"] for e in found)
    lanes = len({e.get("args", {}).get("stream") for e in found})
    print(
        f"kernels: {len(found)} nodes on {lanes} streams; span {span:.0f} us, busy {_busy(found):.0f} us, sum "
        f"{total:.0f} us: {total / span:.2f} at once on average, {span / len(found):.3f} us per node",
        flush=True,
    )
    by_name: dict[str, list[float]] = {}
    for e in found:
        by_name.setdefault(e["name"], []).append(e["dur"])
    for name, times in sorted(by_name.items(), key=lambda pair: -sum(pair[1]))[:32]:
        print(f"  {sum(times):9.0f} us {len(times):5d} x {sum(times) / len(times):7.1f}  {name[:110]}")
    began = time.perf_counter()
    made.trainer.step(made.batches[0])
    print(f"kernels: asking for a step takes {1e6 * (time.perf_counter() - began):.0f} us of the CPU", flush=True)
    return True
