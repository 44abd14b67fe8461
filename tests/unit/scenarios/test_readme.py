"""The examples in ``scenarios/README.md`` are accepted as they stand."""

import re
from pathlib import Path

from tests.unit.scenarios.conftest import Workshop
from xinyi.catalogue.service import Catalogue
from xinyi.scenarios.registry import Registry

README = Path(__file__).parents[3] / "scenarios" / "README.md"


def test_the_examples_are_accepted(workshop: Workshop) -> None:
    scenario, cases, record_type = re.findall(r"```yaml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    incentives = workshop.folder / "incentives"
    (incentives / "tool-deposit.yaml").write_text(scenario, "utf-8")
    (incentives / "tool-deposit.cases.yaml").write_text(cases, "utf-8")
    (workshop.folder / "record-types" / "tool-course.yaml").write_text(record_type, "utf-8")
    catalogue = Catalogue.load(workshop.folder)
    assert "TOOL_COURSE" in catalogue
    assert Registry.load(catalogue, workshop.folder).get("tool-deposit").units == {
        "social-insurance",
        "social-insurance.months",
    }
