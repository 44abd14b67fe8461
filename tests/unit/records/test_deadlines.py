"""The files that say when an answer is due, read strictly."""

import shutil
from pathlib import Path

import pytest

from xinyi.catalogue.files import FileError
from xinyi.catalogue.location import scenarios_dir
from xinyi.records.deadlines import Deadlines

DEADLINES, CALENDAR = "dispute-deadlines.yaml", "working-days.yaml"


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        (DEADLINES, "working_days: 5", "working_days: 0", ">= 1"),
        (DEADLINES, "regions: {}", 'regions: {"3": {working_days: 3}}', "regex"),
        (DEADLINES, "regions: {}", "", "regions"),
        (CALENDAR, '{first: "2026-01-01", last: "2026-01-03"}', '{first: "2026-01-03", last: "2026-01-01"}', "before"),
        (CALENDAR, '"2026-01-04"', '"2027-01-04"', "of the year"),
        (CALENDAR, '"2026-01-04"', '"2026-01-02"', "twice"),
        (CALENDAR, '"2026-01-04"', '"2026-13-04"', "date"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, name: str, old: str, new: str, complaint: str) -> None:
    for each in (DEADLINES, CALENDAR):
        shutil.copy(scenarios_dir() / each, tmp_path)
    text = (tmp_path / name).read_text("utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(FileError, match=complaint) as error:
        Deadlines.load(tmp_path)
    assert {problem.path.name for problem in error.value.problems} == {name}
