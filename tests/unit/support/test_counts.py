"""The closing line's kinds."""

import pytest

from tests.support.counts import kind_of


@pytest.mark.parametrize(
    ("nodeid", "kind"),
    [
        ("tests/unit/kernel/test_ids.py::test_order", "unit"),
        ("tests/flows/test_withdrawal.py::test_it[a/b]", "flow"),
        ("tests/faults/test_kill.py::test_it", "fault"),
        ("tests/docs/test_readme.py::test_it", "docs"),
        ("tests/sdk/test_client.py::test_it", "sdk"),
    ],
)
def test_the_top_folder_is_the_kind(nodeid: str, kind: str) -> None:
    assert kind_of(nodeid) == kind
