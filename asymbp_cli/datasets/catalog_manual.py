"""Datasets that the user must get by hand: sold, unpublished, or photographs of people. No torch, no numpy."""

from asymbp_cli.datasets.entry import CatalogEntry, Draw, PaperRow
from asymbp_cli.datasets.published_classes import LFW_CHECKSUM
from asymbp_cli.datasets.published_classes import PUBFIG83 as PUBFIG83_CLASSES

_FACES = "photographs of people, which this tool downloads only from their publisher"

ICUB = CatalogEntry(
    key="icub",
    label="iCubWorld",
    title="iCubWorld 1.0 (2013), categorization (Fanello et al.)",
    # 3 objects of about 200 images in each of 10 categories; the printed 89.96 % are 201 of 2001 images right
    paper=PaperRow("iCub", one_class=201, implied_counts=(6_000, 2_001)),
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
    note="no counts are published, so an incomplete copy goes unnoticed; the paper's rates imply 2,001 test "
    "images",
)

PUBFIG83 = CatalogEntry(
    key="pubfig83",
    label="PubFig83-ID",
    title="PubFig83, identification of 80 people (Pinto et al.)",
    paper=PaperRow("PubFig83-ID", one_class=15),
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
    images_of_class=PUBFIG83_CLASSES,
    note="80 of the 83 people, and their images, drawn with our own fixed seed",
)

SUFRW = CatalogEntry(
    key="sufrw",
    label="SUFR-W-ID",
    title="SUFR-W, identification of 80 people (Leibo, Liao, Poggio)",
    paper=PaperRow("SUFR-W-ID", one_class=5),
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
    note="80 of the 400 people, and their images, drawn with our own fixed seed",
)

LFW = CatalogEntry(
    key="lfw",
    label="LFW-ID",
    title="Labeled Faces in the Wild, identification of 80 people (Huang et al.)",
    paper=PaperRow("LFW-ID", one_class=5),
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
    classes_checksum=LFW_CHECKSUM,
    note="80 of the 96 people with at least 15 images, and their images, drawn with our own fixed seed",
)

TIMIT = CatalogEntry(
    key="timit",
    label="TIMIT-80",
    title="TIMIT, 80 thirds of phones (Garofolo et al.)",
    # the text says 100 test samples for each class, but every printed rate is a multiple of 0.04, one of 2,500
    paper=PaperRow("TIMIT80", one_class=31, implied_counts=(32_000, 2_500)),
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
    note="the paper does not say what its 80 classes are: 80 thirds of phones, and their frames, drawn "
    "with our own fixed seed; its text says 8,000 test samples, its printed rates imply 2,500",
)
