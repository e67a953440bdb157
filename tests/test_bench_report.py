"""The whole study, planned and rendered from a store with made-up numbers."""

from pathlib import Path

from asymbp_cli import bench_report


def test_the_whole_study_is_planned_and_rendered(tmp_path: Path) -> None:
    found = bench_report.measure(tmp_path, epochs=2)
    assert (found.runs, found.epochs) == (2520, 2520 * 2)
    assert found.seconds > 0
    assert found.peak_mib > 0
