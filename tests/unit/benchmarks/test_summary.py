"""The arithmetic behind the tables."""

import pytest

from benchmarks.report import Target
from benchmarks.summary import Measured, Row, percentile


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    assert percentile(range(1, 101), share) == expected


def test_of_one_value_every_percentile_is_that_value() -> None:
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_a_row_holds_medians_and_their_ratio() -> None:
    empty = Measured("empty", rates=[900.0, 1000.0, 5000.0])
    check = Measured("check", rates=[100.0, 300.0, 310.0], tails=[(0.001, 0.004), (0.002, 0.006), (0.003, 0.090)])

    assert check.row(empty) == Row("check", 300.0, 0.3, 2.0, 6.0)


def test_without_single_requests_there_are_no_latencies() -> None:
    row = Measured("batch", rates=[500.0]).row(Measured("empty", rates=[1000.0]))

    assert (row.ratio_to_empty, row.p50_ms, row.p99_ms) == (0.5, None, None)


def test_a_target_is_met_at_its_very_value() -> None:
    assert Target("ratio", 0.3, 0.3).met
    assert not Target("ratio", 0.3, 0.2999).met
    assert Target("milliseconds", 15, 15, at_most=True).met
    assert not Target("milliseconds", 15, 15.1, at_most=True).met
