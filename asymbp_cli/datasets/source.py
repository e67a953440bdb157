"""Where datasets come from, and what may be done to get one."""

from dataclasses import dataclass
from pathlib import Path

from asymbp_cli.events import OnProgress


@dataclass(frozen=True)
class DataSource:
    """The directories of datasets and of decoded arrays; None is the default of each.

    `download` fetches a missing dataset, and replaces a stand-in by the published files. `on_progress` is told how
    far a download or decoding is. If not `decode`, a dataset that is not decoded has the names and counts of
    `preview`; then those of the catalogue need not be there if they are not `required`.
    """

    data_dir: Path | None = None
    cache_dir: Path | None = None
    download: bool = False
    on_progress: OnProgress | None = None
    decode: bool = True
    required: bool = True


#: the directories that are the defaults, with nothing to download
ANYWHERE = DataSource()
