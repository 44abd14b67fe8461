"""The law page says what there is."""

import pytest

from tests.law.table import PAGE, ROWS, Row, page, shown_by


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_each_row_has_a_test(row: Row):
    assert shown_by()[row.id]


def test_each_test_belongs_to_a_row():
    assert set(shown_by()) == {row.id for row in ROWS}


def test_the_page_is_current():
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.law"
