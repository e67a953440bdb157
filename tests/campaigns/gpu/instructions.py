"""What the kernels of single layers are made of, read from their machine code for a GPU; none is needed.

python tests/campaigns/gpu/instructions.py [CAPABILITY [LAYER]]: registers, shared memory and instructions of each
kernel and of its largest loop, for Hopper (90) or another GPU. A loop takes the longest of its instructions (those
of four warps at a time), its tensor cores, and its copies to shared memory (LDGSTS, STS), more if banks collide.
"""

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
sys.path.append(str(Path(__file__).parents[2] / "training"))

import torch
import triton
from compiled_kernels import Launch, compile_launch, note_launches
from layer_cases import draw
from layers_to_measure import LAYERS

from asymbp_cli.specs.layers import Pool
from asymbp_cli.training.kernels import pooling, products
from asymbp_cli.training.products import Geometry

_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
_NUMBER, _COMMAND, _JUMP = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(.*?);"), re.compile(r"[A-Z][A-Z0-9]+"), "BRA"
_SHOWN = ("HGMMA", "HMMA", "LDGSTS", "LDG", "LDS", "LDSM", "STS", "LDL", "STL")


def launch_all(dtype: torch.dtype) -> Iterator[tuple[str, Launch]]:
    """Yield how the kernels of each layer are launched, and a max pooling's."""
    with note_launches() as launches:
        for name, (inputs, outputs, field, padding, side) in LAYERS.items():
            geometry, replicas, first = Geometry(padding=padding), 2, name.endswith("conv 1")
            W = draw(replicas, outputs, field, field, inputs).to(dtype).permute(0, 1, 4, 2, 3)
            x = draw(2, inputs * (1 if first else replicas), side, side).to(dtype)
            y = products.multiply(x, W, draw(replicas, outputs).to(dtype), geometry)
            products.correlate(x, y, W, geometry, biased=True)
            if not first:
                products.pass_back(y, W, (side, side), geometry)
            while launches:
                yield name, launches.pop(0)
        x = draw(2, 40, 24, 24).to(dtype).requires_grad_()
        y = pooling.max_pool(x, Pool("max", (2, 2), 2))
        y.backward(torch.zeros_like(y))
        for launch in launches:
            yield "max pooling", launch


def read_code(code: bytes) -> tuple[str, list[str]]:
    """Return the needs of a program as `cuobjdump` lists them, and its instructions."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        needs, listing = (
            subprocess.run([_TOOLS / tool, option, file.name], capture_output=True, text=True, check=True).stdout
            for tool, option in (("cuobjdump", "-res-usage"), ("nvdisasm", "-c"))
        )
    return needs, listing.splitlines()


def find_loops(lines: list[str]) -> Iterator[Counter[str]]:
    """Yield how many instructions of each kind a loop has: what lies between a label and a jump back to it."""
    labels: dict[str, int] = {}
    instructions: list[str] = []
    for line in lines:
        if label := re.match(r"(\.L_x_\d+):", line.strip()):
            labels[label[1]] = len(instructions)
        elif found := _NUMBER.search(line):
            instructions.append(re.sub(r"^@!?U?P\d+\s+", "", found[2]))
    for number, instruction in enumerate(instructions):
        target = re.search(r"\(?(\.L_x_\d+)\)?", instruction) if instruction.startswith(_JUMP) else None
        if target and (first := labels.get(target[1], number + 1)) < number:
            found_kinds = (_COMMAND.match(line) for line in instructions[first : number + 1])
            yield Counter(kind[0] for kind in found_kinds if kind)


def main() -> None:
    """Print a line for each kernel of each layer."""
    capability, only = int((sys.argv[1:] or ["90"])[0]), sys.argv[2:]
    for dtype in (torch.float32, torch.bfloat16):
        for layer, launch in launch_all(dtype):
            if only and layer not in only:
                continue
            compiled = compile_launch(launch, capability)
            needs, lines = read_code(compiled.asm["cubin"])
            total = sum(bool(_NUMBER.search(line)) for line in lines)
            loops = max(find_loops(lines), key=Counter.total, default=Counter[str]())
            parts = ", ".join(f"{kind} {loops[kind]}" for kind in _SHOWN if loops[kind])
            registers = "".join(re.findall(r"REG:(\d+)", needs)[:1])
            print(
                f"{layer}, {str(dtype).removeprefix('torch.')}, {launch.kernel.__name__}: {registers} registers, "
                f"{compiled.metadata.shared} B shared, {total} instructions; a loop of {loops.total()}: {parts}",
                flush=True,
            )


if __name__ == "__main__":
    main()
