"""Layers of the paper's networks, of which kernels are measured one by one."""

#: layer -> features of its input and output, side of the field, padding, side of the image (1 for FC layers)
LAYERS = {
    "mnist conv 2": (20, 50, 5, 0, 12),
    "cifar conv 2": (32, 32, 5, 2, 16),
    "mnist FC 1": (800, 500, 1, 0, 1),
    "mnist conv 1": (1, 20, 5, 0, 28),
    "cifar conv 1": (3, 32, 5, 2, 32),
    "cifar conv 3": (32, 64, 5, 2, 8),
}
