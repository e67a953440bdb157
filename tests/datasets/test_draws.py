"""The draws of classes and images are fixed."""

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.readers import members

PINNED_CLASSES = ["000.name", "001.name", "010.name", "011.name", "012.name"]


PINNED_IMAGES = ["000_0003.jpg", "000_0009.jpg", "000_0018.jpg"]


PINNED_TEST = ["000_0001.jpg", "000_0006.jpg", "000_0019.jpg"]


def test_the_draws_are_these() -> None:
    """Part of what every stored result means: a change here would change data under an old name."""
    row = CATALOG["caltech256"]
    files = {f"{k:03d}.name": [f"{k:03d}_{i:04d}.jpg" for i in range(1, 116)] for k in range(256)}
    files["255.name"] += [f"255_{i:04d}.jpg" for i in range(200, 200 + 29_780 - sum(map(len, files.values())))]
    found = members.draw_members(row, files, "there")
    names = [label for label, _ in found["train"]]
    assert len(set(names)) == 102
    assert names == sorted(names)
    assert list(dict.fromkeys(names))[:5] == PINNED_CLASSES
    assert [name for _, name in found["train"]][:3] == PINNED_IMAGES
    assert [name for _, name in found["test"]][:3] == PINNED_TEST
    again = members.draw_members(row, {label: files[label][::-1] for label in reversed(files)}, "elsewhere")
    assert again == found  # whatever the order in which files lie


def test_a_short_class_of_caltech_101_gives_the_rest_to_the_test_set() -> None:
    row = CATALOG["caltech101"]
    files = {f"{k:03d}": [f"{k}-{i}.jpg" for i in range(90)] for k in range(102)}
    for k, count in enumerate((31, 35, 39, 40)):
        files[f"{k:03d}"] = files[f"{k:03d}"][:count]
    files["101"] += [f"more-{i}.jpg" for i in range(9144 - sum(map(len, files.values())))]
    found = members.draw_members(row, files, "there")
    tested = [label for label, _ in found["test"]]
    assert [tested.count(f"{k:03d}") for k in range(5)] == [1, 5, 9, 10, 10]
    assert len(found["train"]) == 3060
    assert not {name for _, name in found["train"]} & {name for _, name in found["test"]}
