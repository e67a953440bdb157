"""The classes of a published dataset: their spelling, and how many images each has."""

from collections.abc import Mapping, Sequence

from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.published_classes import hash_counts
from asymbp_cli.errors import DataError
from asymbp_cli.text import count, list_some, simplify

Images = Mapping[str, str]  # of a class: the names in a tree, by keys that sort as the published names do


def match_classes(entry: CatalogEntry, by_class: Mapping[str, Images], origin: object) -> dict[str, Images]:
    """Return the images by the published names of their classes, however the folders spell them.

    Raises DataError if a class is missing, unknown or there twice, or has another number of images than published:
    such a copy would draw other images under the name of the set. Sets without a list of classes stay as they are.
    """
    published = entry.images_of_class
    if not published:
        _refuse_other_checksum(entry, by_class, origin)
        return dict(by_class)
    names = {simplify(name): name for name in published}
    found: dict[str, Images] = {}
    unknown: list[str] = []
    for folder, images in sorted(by_class.items()):
        name = folder if folder in published else names.get(simplify(folder))
        if name is None:
            unknown.append(folder)
        elif name in found:
            raise DataError(f"{origin} holds the class {name} of {entry.label} twice, also as {folder}. Keep one.")
        else:
            found[name] = images
    _refuse_other_classes(entry, sorted(published.keys() - found.keys()), unknown, origin)
    _refuse_other_counts(entry, published, found, origin)
    return found


def _refuse_other_checksum(entry: CatalogEntry, by_class: Mapping[str, Images], origin: object) -> None:
    found = hash_counts({name: len(images) for name, images in by_class.items()})
    if entry.classes_checksum and found != entry.classes_checksum:
        raise DataError(
            f"{origin}: its classes, or how many images each has, are not those of {entry.label} as published. "
            "Classes were renamed, or images moved: copy it again."
        )


def _refuse_other_classes(
    entry: CatalogEntry, missing: Sequence[str], unknown: Sequence[str], origin: object
) -> None:
    if not missing and not unknown:
        return
    lacks = f"lacks {list_some(missing)}" if missing else ""
    odd = f"holds {list_some(unknown)}, which {entry.label} has not" if unknown else ""
    remedy = (
        "Rename what is misnamed, and copy what is missing"
        if missing and unknown
        else ("Copy what is missing" if missing else "Move it away")
    )
    raise DataError(f"{origin}: it {' and '.join(filter(None, (lacks, odd)))}. {remedy}.")


def _refuse_other_counts(
    entry: CatalogEntry, published: Mapping[str, int], found: Mapping[str, Images], origin: object
) -> None:
    wrong = [
        f"{name} has {count(len(images), 'image')}, not {published[name]:,}"
        for name, images in sorted(found.items())
        if len(images) != published[name]
    ]
    if wrong:
        raise DataError(
            f"{origin}: {'; '.join(wrong[:5])}{f'; and {len(wrong) - 5} more' if len(wrong) > 5 else ''}, as "
            f"{entry.label} is published. Images were moved, added or lost: copy them again."
        )
