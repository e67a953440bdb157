"""Files of curves. A further format is a function here, and a line in `CURVE_FORMATS`."""

import io
from collections.abc import Callable

from asymbp_cli.errors import UsageError
from asymbp_cli.report.csv_records import write_csv
from asymbp_cli.report.curves import Curves


def _write_csv(curves: Curves) -> bytes:
    return write_csv(list(curves.columns), curves.records).encode()


def _write_parquet(curves: Curves) -> bytes:
    """Return the curves as Parquet; raises UsageError if pyarrow is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(
            "Parquet needs the package pyarrow, which is not installed. "
            "Run pip install 'asymbp[parquet]', or write a .csv file"
        ) from error
    types = {
        "text": pyarrow.string(),
        "whole number": pyarrow.int64(),
        "number": pyarrow.float64(),
        "flag": pyarrow.bool_(),
    }
    columns = {
        name: pyarrow.array([record[name] for record in curves.records], type=types[kind])
        for name, kind in curves.columns.items()
    }
    content = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), content)
    return content.getvalue()


#: ending of the file's name -> writer
CURVE_FORMATS: dict[str, Callable[[Curves], bytes]] = {".csv": _write_csv, ".parquet": _write_parquet}
