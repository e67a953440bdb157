"""What a reproducibility report says of models and datasets."""

from collections.abc import Mapping, Sequence

from asymbp_cli.datasets.decoded import DecodedDataset, describe_shared
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.labels import describe_network
from asymbp_cli.report.document import Listing
from asymbp_cli.specs.methods import Method, method_name
from asymbp_cli.specs.networks import Network, dimensions
from asymbp_cli.specs.references import short_name


def list_networks(grids: Sequence[Grid]) -> Listing:
    """Return the networks of tables with their layers, weights and operations."""
    rows: dict[Network, list[str]] = {}
    for row in (row for grid in grids for row in grid.rows):
        if row.network:
            labels = rows.setdefault(row.network, [])
            labels += [] if row.label in labels else [row.label]
    lines = tuple(
        (
            describe_network(network),
            ", ".join(labels),
            dimensions(network.input),
            ", ".join(network.words),
            f"{network.parameter_count():,}",
            f"{network.flop_per_sample() / 1e6:,.2f}",
        )
        for network, labels in rows.items()
    )
    header = ("network", "datasets", "input", "layers", "weights and biases", "MFLOP per sample and step")
    notes = ("ReLU, or the activation that ends the list, follows each layer with weights but the last.",)
    return Listing("Networks", header, lines, notes)


def list_methods(grids: Sequence[Grid]) -> Listing:
    """Return the methods of tables: feedback weights, normalization and update rule."""
    methods = dict.fromkeys(entry.method for grid in grids for column in grid.columns for entry in column.entries)
    header = ("method", "feedback weights V", "of", "batch normalization", "update", "layers that train")
    return Listing("Methods", header, tuple(map(_describe, methods)))


def _describe(method: Method) -> tuple[str, ...]:
    scheme = method.feedback.kind
    return (
        method_name(method),
        scheme.formula,
        scheme.source,
        method.batch_norm,
        short_name(method.update),
        method.train,
    )


def _remark(info: DecodedDataset) -> str:
    shared = describe_shared(info.shared, info.test_count) if info.shared else ""
    return "; ".join(filter(None, (info.note, shared))) or "-"


def list_datasets(grids: Sequence[Grid], infos: Mapping[str, DecodedDataset]) -> Listing:
    """Return the datasets of tables with their statistics."""
    fingerprints = dict.fromkeys(row.dataset for grid in grids for row in grid.rows if row.dataset in infos)
    rows = tuple(
        (
            info.label,
            f"{len(info.classes):,}",
            f"{info.train_count:,}",
            f"{info.test_count:,}",
            dimensions(info.shape),
            "yes" if info.paper_name and info.exact else "no",
            _remark(info),
        )
        for info in (infos[key] for key in fingerprints if key)
    )
    header = ("dataset", "classes", "training samples", "test samples", "input", "the paper's own", "remarks")
    return Listing("Datasets", header, rows)
