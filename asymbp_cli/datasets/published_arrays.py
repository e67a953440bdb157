"""Datasets published as arrays: digits, MNIST, CIFAR, SVHN, STL-10. No torch, no numpy.

Sizes and checksums here and in `published_files` are those that their homes, torchvision or TensorFlow's datasets
give.
"""

from asymbp_cli.datasets.entry import Archive, CatalogEntry

_MNIST_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")


def _mnist(name: str, md5: str, unpacked_md5: str, size: int) -> Archive:
    urls = tuple(f"{mirror}{name}.gz" for mirror in _MNIST_MIRRORS)
    return Archive(f"MNIST/raw/{name}.gz", urls, md5, size, unpacked_md5)


def _at(home: str, name: str, checksum: str = "", size: int | None = None) -> Archive:
    return Archive(name, (home + name,), checksum, size)


DIGITS = CatalogEntry(
    key="digits",
    label="digits",
    title="Optical handwritten digits, 8x8 (Alpaydin and Kaynak 1998, UCI; embedded in scikit-learn)",
    paper_name=None,
    network="digits",
    classes=10,
    train_count=1437,
    test_count=360,
    source="scikit-learn's load_digits",
    licence="see the UCI Machine Learning Repository, data set 80",
    citation="Alpaydin, Kaynak (1998): Optical Recognition of Handwritten Digits, UCI ML Repository",
    accepts="nothing: it comes with scikit-learn",
    megabytes=0,
    note="not a dataset of the paper; a fixed stratified split of ours",
)

MNIST = CatalogEntry(
    key="mnist",
    label="MNIST",
    title="MNIST handwritten digits (LeCun, Cortes)",
    paper_name="MNIST",
    network="mnist",
    classes=10,
    train_count=60_000,
    test_count=10_000,
    source="http://yann.lecun.com/exdb/mnist/",
    licence="CC BY-SA 3.0",
    citation="LeCun, Bottou, Bengio, Haffner (1998): Gradient-based learning applied to document recognition",
    archives=(
        _mnist(
            "train-images-idx3-ubyte",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "6bbc9ace898e44ae57da46a324031adb",
            9_912_422,
        ),
        _mnist(
            "train-labels-idx1-ubyte",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "a25bea736e30d166cdddb491f175f624",
            28_881,
        ),
        _mnist(
            "t10k-images-idx3-ubyte",
            "9fb629c4189551a2d022fa330f9573f3",
            "2646ac647ad5339dbf082846283269ea",
            1_648_877,
        ),
        _mnist(
            "t10k-labels-idx1-ubyte",
            "ec29112dd5afa0611ce80d1b7f02629c",
            "27ae3e4e09519cfbb04c329615203637",
            4_542,
        ),
    ),
    accepts="MNIST/raw/ with the four idx files, packed (.gz) or not, as torchvision keeps them",
    megabytes=12,
)

CIFAR10 = CatalogEntry(
    key="cifar10",
    label="CIFAR-10",
    title="CIFAR-10 (Krizhevsky)",
    paper_name="CIFAR",
    network="cifar",
    classes=10,
    train_count=50_000,
    test_count=10_000,
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated",
    citation="Krizhevsky (2009): Learning multiple layers of features from tiny images",
    archives=(
        _at(
            "https://www.cs.toronto.edu/~kriz/",
            "cifar-10-python.tar.gz",
            "c58f30108f718f92721af3b95e74349a",
            170_498_071,
        ),
    ),
    accepts="cifar-10-batches-py/ or cifar-10-python.tar.gz, as torchvision keeps them; or "
    "cifar10-jpeg.tar.xz, a lossy copy as train/CLASS/*.jpg and test/CLASS/*.jpg",
    megabytes=170,
)

CIFAR100 = CatalogEntry(
    key="cifar100",
    label="CIFAR-100",
    title="CIFAR-100, fine labels (Krizhevsky)",
    paper_name="CIFAR100",
    network="cifar",
    classes=100,
    train_count=50_000,
    test_count=10_000,
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated",
    citation="Krizhevsky (2009): Learning multiple layers of features from tiny images",
    archives=(
        _at(
            "https://www.cs.toronto.edu/~kriz/",
            "cifar-100-python.tar.gz",
            "eb9058c3a382ffc7106e4002c42a8d85",
            169_001_437,
        ),
    ),
    accepts="cifar-100-python/ or cifar-100-python.tar.gz, as torchvision keeps them",
    megabytes=169,
)

SVHN = CatalogEntry(
    key="svhn",
    label="SVHN",
    title="Street View House Numbers, cropped digits (Netzer et al.)",
    paper_name="SVHN",
    network="svhn",
    classes=10,
    train_count=73_257,
    test_count=26_032,
    source="http://ufldl.stanford.edu/housenumbers/",
    licence="non-commercial use only",
    citation="Netzer et al. (2011): Reading digits in natural images with unsupervised feature learning",
    archives=(
        _at(
            "http://ufldl.stanford.edu/housenumbers/",
            "train_32x32.mat",
            "e26dedcc434d2e4c54c9b2d4a06d8373",
            182_040_794,
        ),
        _at(
            "http://ufldl.stanford.edu/housenumbers/",
            "test_32x32.mat",
            "eb5a983be6a315427106f1b164d9cef3",
            64_275_384,
        ),
    ),
    accepts="train_32x32.mat and test_32x32.mat, as torchvision keeps them",
    megabytes=246,
    note="without the extra images",
)

STL10 = CatalogEntry(
    key="stl10",
    label="STL-10",
    title="STL-10, labelled images (Coates, Ng, Lee)",
    paper_name="STL10",
    network="large",
    classes=10,
    train_count=5_000,
    test_count=8_000,
    source="https://cs.stanford.edu/~acoates/stl10/",
    licence="none stated; images from ImageNet",
    citation="Coates, Ng, Lee (2011): An analysis of single-layer networks in unsupervised feature learning",
    archives=(
        _at(
            "http://ai.stanford.edu/~acoates/stl10/",
            "stl10_binary.tar.gz",
            "91f7769df0f17e558f3565bffb0c7dfb",
            2_640_397_119,
        ),
    ),
    accepts="stl10_binary.tar.gz, or stl10_binary/ with {train,test}_{X,y}.bin (unlabeled_X.bin is not needed)",
    megabytes=2640,
)

ARRAYS = (DIGITS, MNIST, CIFAR10, CIFAR100, SVHN, STL10)
