"""Datasets of photographs that are downloaded. No torch, no numpy.

Sizes and checksums are those of the publishers, of torchvision or of TensorFlow's datasets.
"""

from asymbp_cli.datasets.entry import CatalogEntry, Draw, PaperRow, at_home
from asymbp_cli.datasets.published_classes import CALTECH101 as CALTECH101_CLASSES
from asymbp_cli.datasets.published_classes import CALTECH256 as CALTECH256_CLASSES

_CALTECH = "https://data.caltech.edu/records/"
_FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/"

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
        at_home(
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
        at_home(
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
    images_of_class=CALTECH101_CLASSES,
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
        at_home(
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
    images_of_class=CALTECH256_CLASSES,
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
        at_home(
            _FLOWERS + "17/",
            "17flowers.tgz",
            "b59a65d8d1a99cd66944d474e1289eab",
            folder="flowers-17/",
            unpacked="jpg",
        ),
        at_home(_FLOWERS + "17/", "datasplits.mat", "4828cddfd0d803c5abbdebcb1e148a1e", folder="flowers-17/"),
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
        at_home(
            _FLOWERS + "102/",
            "102flowers.tgz",
            "52808999861908f626f3c1f4e79d11fa",
            344_862_509,
            folder="flowers-102/",
            unpacked="jpg",
        ),
        at_home(
            _FLOWERS + "102/", "imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", 502, folder="flowers-102/"
        ),
        at_home(_FLOWERS + "102/", "setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", 14_989, folder="flowers-102/"),
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
        at_home(
            "http://groups.csail.mit.edu/vision/LabelMe/NewImages/",
            "indoorCVPR_09.tar",
            "0b252516e746ba428b96af408d2e8162d9b08ac5",
            folder="indoor67/",
            unpacked="Images",
        ),
        at_home("http://web.mit.edu/torralba/www/", "TrainImages.txt", folder="indoor67/"),
        at_home("http://web.mit.edu/torralba/www/", "TestImages.txt", folder="indoor67/"),
    ),
    accepts="indoor67/ with TrainImages.txt, TestImages.txt, and indoorCVPR_09.tar or Images/",
    megabytes=2600,
)
