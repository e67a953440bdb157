"""Datasets of small pictures: the digits, which come with scikit-learn, MNIST, CIFAR and the like.

No torch, no numpy. Sizes and checksums are those of the publishers, of torchvision or of TensorFlow's datasets.
"""

from asymbp_cli.datasets.entry import Archive, CatalogEntry, PaperRow, at_home

_MNIST_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/"
_SVHN = "http://ufldl.stanford.edu/housenumbers/"


def _mnist(name: str, size: int, md5: str, unpacked_md5: str) -> Archive:
    urls = tuple(f"{mirror}{name}-ubyte.gz" for mirror in _MNIST_MIRRORS)
    return Archive(f"MNIST/raw/{name}-ubyte.gz", urls, md5, size, unpacked_md5)


def _fashion(name: str, size: int, md5: str, unpacked_md5: str) -> Archive:
    return Archive(f"FashionMNIST/raw/{name}-ubyte.gz", (f"{_FASHION}{name}-ubyte.gz",), md5, size, unpacked_md5)


DIGITS = CatalogEntry(
    key="digits",
    label="digits",
    title="Optical handwritten digits, 8x8 (Alpaydin and Kaynak 1998, UCI; embedded in scikit-learn)",
    paper=None,
    network="digits",
    classes=10,
    train_count=1437,
    test_count=360,
    source="scikit-learn's load_digits",
    licence="see the UCI Machine Learning Repository, data set 80",
    citation="Alpaydin, Kaynak (1998): Optical Recognition of Handwritten Digits, UCI ML Repository",
    accepts="nothing: it comes with scikit-learn",
    megabytes=0,
    note="not a dataset of the paper; our own fixed stratified split",
)

MNIST = CatalogEntry(
    key="mnist",
    label="MNIST",
    title="MNIST handwritten digits (LeCun, Cortes)",
    paper=PaperRow("MNIST", one_class=1135),  # "1", the most frequent class of the training set
    network="mnist",
    classes=10,
    train_count=60_000,
    test_count=10_000,
    source="http://yann.lecun.com/exdb/mnist/",
    licence="CC BY-SA 3.0",
    citation="LeCun, Bottou, Bengio, Haffner (1998): Gradient-based learning applied to document recognition",
    archives=(
        _mnist(
            "train-images-idx3", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"
        ),
        _mnist(
            "train-labels-idx1", 28_881, "d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"
        ),
        _mnist(
            "t10k-images-idx3", 1_648_877, "9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"
        ),
        _mnist("t10k-labels-idx1", 4_542, "ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
    ),
    accepts="MNIST/raw/ with the four idx files, packed (.gz) or not, as torchvision keeps them; or a copy as "
    "mnist/train/0..9/* and mnist/test/0..9/*, packed or not",
    megabytes=12,
    content="2731c871cf0402536ec478c0e25fd9bfdf6db6d2f313d972cbd8b13c93b26abd",
)

FASHION_MNIST = CatalogEntry(
    key="fashion-mnist",
    label="Fashion-MNIST",
    title="Fashion-MNIST, pictures of clothes (Xiao, Rasul, Vollgraf)",
    paper=None,
    network="mnist",
    classes=10,
    train_count=60_000,
    test_count=10_000,
    source="https://github.com/zalandoresearch/fashion-mnist",
    licence="MIT",
    citation="Xiao, Rasul, Vollgraf (2017): Fashion-MNIST: a novel image dataset for benchmarking",
    archives=(
        _fashion(
            "train-images-idx3", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"
        ),
        _fashion(
            "train-labels-idx1", 29_515, "25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"
        ),
        _fashion(
            "t10k-images-idx3", 4_422_102, "bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"
        ),
        _fashion(
            "t10k-labels-idx1", 5_148, "bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"
        ),
    ),
    accepts="FashionMNIST/raw/ with the four idx files, packed (.gz) or not, as torchvision keeps them; or a copy "
    "as fashion-mnist/train/0..9/* and fashion-mnist/test/0..9/*, packed or not",
    megabytes=31,
    note="not a dataset of the paper",
    content="78e138f1735374d0453cc6951a0613abff4317f87d9e368603085f880e7c45b5",
)

CIFAR10 = CatalogEntry(
    key="cifar10",
    label="CIFAR-10",
    title="CIFAR-10 (Krizhevsky)",
    paper=PaperRow("CIFAR", one_class=1000),
    network="cifar",
    classes=10,
    train_count=50_000,
    test_count=10_000,
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated",
    citation="Krizhevsky (2009): Learning multiple layers of features from tiny images",
    archives=(at_home(_CIFAR, "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", 170_498_071),),
    accepts="cifar-10-batches-py/ or cifar-10-python.tar.gz, as torchvision keeps them; or a copy as "
    "cifar10/train/CLASS/* and cifar10/test/CLASS/*, packed or not",
    megabytes=170,
    content="7719a92537e44aad38b64bae6005d54f9ac0f7a47b1ce82c620b47766bc23c6b",
)

CIFAR100 = CatalogEntry(
    key="cifar100",
    label="CIFAR-100",
    title="CIFAR-100, fine labels (Krizhevsky)",
    paper=PaperRow("CIFAR100", one_class=100),
    network="cifar",
    classes=100,
    train_count=50_000,
    test_count=10_000,
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    licence="none stated",
    citation="Krizhevsky (2009): Learning multiple layers of features from tiny images",
    archives=(at_home(_CIFAR, "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", 169_001_437),),
    accepts="cifar-100-python/ or cifar-100-python.tar.gz, as torchvision keeps them; or a copy as "
    "cifar100/train/CLASS/* and cifar100/test/CLASS/*, packed or not",
    megabytes=169,
)

SVHN = CatalogEntry(
    key="svhn",
    label="SVHN",
    title="Street View House Numbers, cropped digits (Netzer et al.)",
    paper=PaperRow("SVHN", one_class=5099),  # "1", the most frequent class of the training set
    network="svhn",
    classes=10,
    train_count=73_257,
    test_count=26_032,
    source="http://ufldl.stanford.edu/housenumbers/",
    licence="non-commercial use only",
    citation="Netzer et al. (2011): Reading digits in natural images with unsupervised feature learning",
    archives=(
        at_home(_SVHN, "train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794),
        at_home(_SVHN, "test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384),
    ),
    accepts="train_32x32.mat and test_32x32.mat, as torchvision keeps them",
    megabytes=246,
    note="without the extra images",
)
