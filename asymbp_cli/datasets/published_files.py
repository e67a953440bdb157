"""Datasets published as a file per image or utterance. No torch, no numpy."""

from asymbp_cli.datasets.entry import Archive, CatalogEntry, Draw

_CALTECH = "https://data.caltech.edu/records/"
_FLOWERS = "https://www.robots.ox.ac.uk/~vgg/data/flowers/"
_FACES = "photographs of people, which this tool fetches from nobody but their publisher"


def _at(home: str, name: str, checksum: str = "", size: int | None = None, *, folder: str) -> Archive:
    return Archive(folder + name, (home + name,), checksum, size)


CALTECH101 = CatalogEntry(
    key="caltech101",
    label="Caltech-101",
    title="Caltech-101 with its background class (Fei-Fei, Fergus, Perona)",
    paper_name="Cal101",
    network="large",
    classes=102,
    train_count=3060,
    test_count=949,
    source="https://data.caltech.edu/records/mzrjq-6wc02",
    licence="CC BY 4.0, by its record",
    citation="Fei-Fei, Fergus, Perona (2004): Learning generative visual models from few training examples",
    archives=(
        Archive(
            "caltech101/caltech-101.zip",
            (_CALTECH + "mzrjq-6wc02/files/caltech-101.zip",),
            "3138e1922a9193bfa496528edbbc45d0",
            137_414_764,
        ),
    ),
    accepts="caltech-101.zip, 101_ObjectCategories.tar.gz or 101_ObjectCategories/, also in caltech101/",
    megabytes=137,
    draw=Draw(classes=102, train=30, test=10, of=102, images=9144, fewest_test=1),
    note="15 classes have under 40 images and give what is left to the test set, 949 in all as in the paper; "
    "which images train is drawn by a seed of ours",
)

CALTECH256 = CatalogEntry(
    key="caltech256",
    label="Caltech-256 (102 classes)",
    title="Caltech-256, 102 classes drawn (Griffin, Holub, Perona)",
    paper_name="Cal256-101",
    network="large",
    classes=102,
    train_count=3060,
    test_count=1020,
    source="https://data.caltech.edu/records/nyy15-4j048",
    licence="CC BY 4.0, by its record",
    citation="Griffin, Holub, Perona (2007): Caltech-256 object category dataset",
    archives=(
        Archive(
            "caltech256/256_ObjectCategories.tar",
            (_CALTECH + "nyy15-4j048/files/256_ObjectCategories.tar",),
            "67b4f42ca05d46448c6bb8ecd2220f6d",
            1_183_006_720,
        ),
    ),
    accepts="256_ObjectCategories.tar or 256_ObjectCategories/, also in caltech256/",
    megabytes=1183,
    draw=Draw(classes=102, train=30, test=10, of=256, images=29_780),
    note="102 of the 256 classes (without the clutter) and their images drawn by a seed of ours",
)

ICUB = CatalogEntry(
    key="icub",
    label="iCubWorld",
    title="iCubWorld 1.0 (2013), categorization (Fanello et al.)",
    paper_name="iCub",
    network="large",
    classes=10,
    train_count=None,
    test_count=None,
    source="https://robotology.github.io/iCubWorld/",
    licence="publicly available; none stated",
    citation="Fanello et al. (2013): iCub World: friendly robots help building good vision data-sets",
    accepts="iCubWorld/ (or iCubWorld.zip) with train/CATEGORY/ and test/CATEGORY/, folders of objects inside or "
    "not: 10 categories, 3 objects each to train and another one to test",
    megabytes=500,
    by_hand="its publisher gives no checksum. Beware: iCubWorld.zip is the right archive, iCubWorld1.0.zip holds "
    "another set, of 7 objects",
    note="no counts are published, so nothing tells whether this copy is whole; the paper's rates imply 2,001 "
    "test images",
)

FLOWERS17 = CatalogEntry(
    key="flowers17",
    label="Flowers-17",
    title="Oxford Flowers-17, split 1 (Nilsback, Zisserman)",
    paper_name="Flowers17",
    network="large",
    classes=17,
    train_count=680,
    test_count=340,
    source=_FLOWERS + "17/",
    licence="none stated",
    citation="Nilsback, Zisserman (2006): A visual vocabulary for flower classification",
    archives=(
        _at(_FLOWERS + "17/", "17flowers.tgz", "b59a65d8d1a99cd66944d474e1289eab", folder="flowers-17/"),
        _at(_FLOWERS + "17/", "datasplits.mat", "4828cddfd0d803c5abbdebcb1e148a1e", folder="flowers-17/"),
    ),
    accepts="flowers-17/ with 17flowers.tgz or jpg/, and datasplits.mat; or flowers17.tar, the images as "
    "CLASS/image_NNNN.jpg, split by us",
    megabytes=60,
    draw=Draw(classes=17, train=40, test=20, of=17, images=1360),
)

FLOWERS102 = CatalogEntry(
    key="flowers102",
    label="Flowers-102",
    title="Oxford Flowers-102 (Nilsback, Zisserman)",
    paper_name="Flowers102",
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
        ),
        _at(_FLOWERS + "102/", "imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", 502, folder="flowers-102/"),
        _at(_FLOWERS + "102/", "setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", 14_989, folder="flowers-102/"),
    ),
    accepts="flowers-102/ with 102flowers.tgz or jpg/, imagelabels.mat and setid.mat, as torchvision keeps them",
    megabytes=345,
    note="its validation images are not used",
)

PUBFIG83 = CatalogEntry(
    key="pubfig83",
    label="PubFig83-ID",
    title="PubFig83, identification of 80 people (Pinto et al.)",
    paper_name="PubFig83-ID",
    network="large",
    classes=80,
    train_count=6800,
    test_count=1200,
    source="https://vision.seas.harvard.edu/pubfig83/",
    licence="non-commercial use only",
    citation="Pinto, Stone, Zickler, Cox (2011): Scaling up biologically-inspired computer vision",
    accepts="pubfig83/ or pubfig83.v1.tgz, with a folder of images per person",
    megabytes=110,
    by_hand=f"{_FACES}, and no checksum is published",
    draw=Draw(classes=80, train=85, test=15, of=83, images=13_838),
    note="80 of the 83 people and their images drawn by a seed of ours",
)

SUFRW = CatalogEntry(
    key="sufrw",
    label="SUFR-W-ID",
    title="SUFR-W, identification of 80 people (Leibo, Liao, Poggio)",
    paper_name="SUFR-W-ID",
    network="large",
    classes=80,
    train_count=800,
    test_count=400,
    source="http://klab.tch.harvard.edu/cbmm/other/SUFR_README.txt",
    licence="none stated",
    citation="Leibo, Liao, Poggio (2014): Subtasks of unconstrained face recognition",
    accepts="SUFR-W/ or SUFR.../ with image_files/SUFR-W/SUFR_in_the_wild/N.jpg and "
    "info_files/SUFR-W/SUFR_in_the_wild/SUFR_in_the_wild_info.txt",
    megabytes=100,
    by_hand=f"{_FACES}, and no address of its archive is known",
    draw=Draw(classes=80, train=10, test=5, of=400, images=None),
    note="80 of the 400 people and their images drawn by a seed of ours",
)

LFW = CatalogEntry(
    key="lfw",
    label="LFW-ID",
    title="Labeled Faces in the Wild, identification of 80 people (Huang et al.)",
    paper_name="LFW-ID",
    network="large",
    classes=80,
    train_count=800,
    test_count=400,
    source="http://vis-www.cs.umass.edu/lfw/",
    licence="published for research",
    citation="Huang, Ramesh, Berg, Learned-Miller (2007): Labeled Faces in the Wild",
    accepts="lfw.tgz, lfw-funneled.tgz, lfw-deepfunneled.tgz, or one of these unpacked (lfw/, lfw_funneled/, "
    "lfw-deepfunneled/), with a folder of images per person",
    megabytes=180,
    by_hand=f"{_FACES}, whose address no longer answers",
    draw=Draw(classes=80, train=10, test=5, of=5749, images=13_233),
    note="80 of the 96 people with at least 15 images, and their images, drawn by a seed of ours",
)

INDOOR67 = CatalogEntry(
    key="indoor67",
    label="Indoor-67",
    title="MIT Indoor-67 scenes (Quattoni, Torralba)",
    paper_name="Scene67",
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
        ),
        _at("http://web.mit.edu/torralba/www/", "TrainImages.txt", folder="indoor67/"),
        _at("http://web.mit.edu/torralba/www/", "TestImages.txt", folder="indoor67/"),
    ),
    accepts="indoor67/ with TrainImages.txt, TestImages.txt, and indoorCVPR_09.tar or Images/",
    megabytes=2600,
)

TIMIT = CatalogEntry(
    key="timit",
    label="TIMIT-80",
    title="TIMIT, 80 thirds of phones (Garofolo et al.)",
    paper_name="TIMIT80",
    network="timit",
    classes=80,
    train_count=32_000,
    test_count=8_000,
    source="https://catalog.ldc.upenn.edu/LDC93S1",
    licence="LDC User Agreement for Non-Members",
    citation="Garofolo et al. (1993): TIMIT acoustic-phonetic continuous speech corpus, LDC93S1",
    accepts="TIMIT/ with TRAIN/ and TEST/, as the LDC distributes it",
    megabytes=640,
    by_hand="the Linguistic Data Consortium sells it",
    note="the paper does not say what its 80 classes are: 80 thirds of phones and their frames, drawn by a seed "
    "of ours; its text says 8,000 test samples, its printed rates imply 2,500",
)

FILES = (
    *(CALTECH101, CALTECH256, ICUB, FLOWERS17, FLOWERS102),
    *(PUBFIG83, SUFRW, LFW, INDOOR67, TIMIT),
)
