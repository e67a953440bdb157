"""Readers: from files as they are published to images and labels. `READERS` names one for each dataset."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from asymbp_cli.datasets.readers import cifar, digits, drawn, icub, listed, mnist, stl10, svhn, timit
from asymbp_cli.datasets.readers.base import Absent, FoundDataset

#: key of the catalog -> the function that looks for the dataset in a data directory
READERS: dict[str, Callable[[Path], FoundDataset | Absent]] = {
    "digits": digits.locate,
    "mnist": partial(mnist.locate, "mnist"),
    "cifar10": cifar.locate_cifar10,
    "cifar100": cifar.locate_cifar100,
    "svhn": svhn.locate,
    "stl10": stl10.locate,
    "caltech101": partial(drawn.locate, "caltech101"),
    "caltech256": partial(drawn.locate, "caltech256"),
    "icub": icub.locate,
    "flowers17": listed.locate_flowers17,
    "flowers102": listed.locate_flowers102,
    "pubfig83": partial(drawn.locate, "pubfig83"),
    "sufrw": listed.locate_sufrw,
    "lfw": drawn.locate_lfw,
    "indoor67": listed.locate_indoor67,
    "timit": timit.locate,
    "fashion-mnist": partial(mnist.locate, "fashion-mnist"),
}
