"""Datasets that are downloaded, and the digits, which come with scikit-learn. No torch, no numpy.

Sizes and checksums are those of the publishers, of torchvision or of TensorFlow's datasets.
"""

from asymbp_cli.datasets.entry import Archive, CatalogEntry, Draw, PaperRow

_MNIST_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
_CIFAR = "https://www.cs.toronto.edu/~kriz/"
_SVHN = "http://ufldl.stanford.edu/housenumbers/"
_CALTECH = "https://data.caltech.edu/records/"
_FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/"


def _mnist(name: str, size: int, md5: str, unpacked_md5: str) -> Archive:
    urls = tuple(f"{mirror}{name}-ubyte.gz" for mirror in _MNIST_MIRRORS)
    return Archive(f"MNIST/raw/{name}-ubyte.gz", urls, md5, size, unpacked_md5)


def _at(
    home: str, name: str, checksum: str = "", size: int | None = None, *, folder: str = "", unpacked: str = ""
) -> Archive:
    return Archive(folder + name, (home + name,), checksum, size, unpacked=unpacked and folder + unpacked)


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
    accepts="MNIST/raw/ with the four idx files, packed (.gz) or not, as torchvision keeps them",
    megabytes=12,
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
    archives=(_at(_CIFAR, "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", 170_498_071),),
    accepts="cifar-10-batches-py/ or cifar-10-python.tar.gz, as torchvision keeps them; or "
    "cifar10-jpeg.tar.xz, a lossy copy as train/CLASS/*.jpg and test/CLASS/*.jpg",
    megabytes=170,
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
    archives=(_at(_CIFAR, "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", 169_001_437),),
    accepts="cifar-100-python/ or cifar-100-python.tar.gz, as torchvision keeps them",
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
        _at(_SVHN, "train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373", 182_040_794),
        _at(_SVHN, "test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384),
    ),
    accepts="train_32x32.mat and test_32x32.mat, as torchvision keeps them",
    megabytes=246,
    note="without the extra images",
)

STL10 = CatalogEntry(
    key="stl10",
    label="STL-10",
    title="STL-10, labelled images (Coates, Ng, Lee)",
    paper=PaperRow("STL10", one_class=800),
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

CALTECH101 = CatalogEntry(
    key="caltech101",
    label="Caltech-101",
    title="Caltech-101 with its background class (Fei-Fei, Fergus, Perona)",
    paper=PaperRow("Cal101", one_class=10),  # 10 wherever a class has 40 images
    network="large",
    classes=102,
    train_count=3060,
    test_count=949,
    source="https://data.caltech.edu/records/mzrjq-6wc02",
    licence="CC BY 4.0, by its record",
    citation="Fei-Fei, Fergus, Perona (2004): Learning generative visual models from few training examples",
    archives=(
        _at(
            _CALTECH + "mzrjq-6wc02/files/",
            "caltech-101.zip",
            "3138e1922a9193bfa496528edbbc45d0",
            137_414_764,
            folder="caltech101/",
        ),
    ),
    accepts="caltech-101.zip, 101_ObjectCategories.tar.gz or 101_ObjectCategories/, also in caltech101/",
    megabytes=137,
    draw=Draw(classes=102, train=30, test=10, of=102, images=9144, fewest_test=1),
    note="15 classes have fewer than 40 images and give the rest to the test set, 949 in all as in the paper; "
    "the training images are drawn with our own fixed seed",
)

CALTECH256 = CatalogEntry(
    key="caltech256",
    label="Caltech-256 (102 classes)",
    title="Caltech-256, 102 classes drawn (Griffin, Holub, Perona)",
    paper=PaperRow("Cal256-101", one_class=10),
    network="large",
    classes=102,
    train_count=3060,
    test_count=1020,
    source="https://data.caltech.edu/records/nyy15-4j048",
    licence="CC BY 4.0, by its record",
    citation="Griffin, Holub, Perona (2007): Caltech-256 object category dataset",
    archives=(
        _at(
            _CALTECH + "nyy15-4j048/files/",
            "256_ObjectCategories.tar",
            "67b4f42ca05d46448c6bb8ecd2220f6d",
            1_183_006_720,
            folder="caltech256/",
        ),
    ),
    accepts="256_ObjectCategories.tar or 256_ObjectCategories/, also in caltech256/",
    megabytes=1183,
    draw=Draw(classes=102, train=30, test=10, of=256, images=29_780),
    note="102 of the 256 classes (without the clutter), and their images, drawn with our own fixed seed",
)

FLOWERS17 = CatalogEntry(
    key="flowers17",
    label="Flowers-17",
    title="Oxford Flowers-17, split 1 (Nilsback, Zisserman)",
    paper=PaperRow("Flowers17", one_class=20),
    network="large",
    classes=17,
    train_count=680,
    test_count=340,
    source=_FLOWERS + "17/",
    licence="none stated",
    citation="Nilsback, Zisserman (2006): A visual vocabulary for flower classification",
    archives=(
        _at(
            _FLOWERS + "17/",
            "17flowers.tgz",
            "b59a65d8d1a99cd66944d474e1289eab",
            folder="flowers-17/",
            unpacked="jpg",
        ),
        _at(_FLOWERS + "17/", "datasplits.mat", "4828cddfd0d803c5abbdebcb1e148a1e", folder="flowers-17/"),
    ),
    accepts="flowers-17/ with 17flowers.tgz or jpg/, and datasplits.mat; or flowers17.tar, the images as "
    "CLASS/image_NNNN.jpg, which is split by this tool",
    megabytes=60,
    draw=Draw(classes=17, train=40, test=20, of=17, images=1360),
)

FLOWERS102 = CatalogEntry(
    key="flowers102",
    label="Flowers-102",
    title="Oxford Flowers-102 (Nilsback, Zisserman)",
    paper=PaperRow("Flowers102", one_class=20),  # its smallest classes have 40 images: 10 train, 10 validate
    network="large",
    classes=102,
    train_count=1020,
    test_count=6149,
    source=_FLOWERS + "102/",
    licence="none stated",
    citation="Nilsback, Zisserman (2008): Automated flower classification over a large number of classes",
    archives=(
        _at(
            _FLOWERS + "102/",
            "102flowers.tgz",
            "52808999861908f626f3c1f4e79d11fa",
            344_862_509,
            folder="flowers-102/",
            unpacked="jpg",
        ),
        _at(_FLOWERS + "102/", "imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", 502, folder="flowers-102/"),
        _at(_FLOWERS + "102/", "setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", 14_989, folder="flowers-102/"),
    ),
    accepts="flowers-102/ with 102flowers.tgz or jpg/, imagelabels.mat and setid.mat, as torchvision keeps them",
    megabytes=345,
    note="its validation images are not used",
)

INDOOR67 = CatalogEntry(
    key="indoor67",
    label="Indoor-67",
    title="MIT Indoor-67 scenes (Quattoni, Torralba)",
    paper=PaperRow("Scene67", one_class=20),
    network="large",
    classes=67,
    train_count=5360,
    test_count=1340,
    source="https://web.mit.edu/torralba/www/indoor.html",
    licence="research purposes only",
    citation="Quattoni, Torralba (2009): Recognizing indoor scenes",
    archives=(
        _at(
            "http://groups.csail.mit.edu/vision/LabelMe/NewImages/",
            "indoorCVPR_09.tar",
            "0b252516e746ba428b96af408d2e8162d9b08ac5",
            folder="indoor67/",
            unpacked="Images",
        ),
        _at("http://web.mit.edu/torralba/www/", "TrainImages.txt", folder="indoor67/"),
        _at("http://web.mit.edu/torralba/www/", "TestImages.txt", folder="indoor67/"),
    ),
    accepts="indoor67/ with TrainImages.txt, TestImages.txt, and indoorCVPR_09.tar or Images/",
    megabytes=2600,
)
