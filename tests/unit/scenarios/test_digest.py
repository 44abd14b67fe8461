"""A version's digest: the same for the same content, another for any other."""

import msgspec
import pytest

from tests.unit.scenarios.conftest import Workshop
from xinyi.catalogue.files import read
from xinyi.catalogue.service import Catalogue
from xinyi.kernel.canonical import digest_bytes
from xinyi.scenarios.model import Scenario
from xinyi.scenarios.registry import Registry


def digest(workshop: Workshop) -> str:
    return read(workshop.scenario, Scenario)[0].digest


def test_it_is_over_the_canonical_form() -> None:
    for scenario in _published():
        canonical = msgspec.json.encode(scenario, order="sorted")
        assert scenario.digest == digest_bytes(canonical)
        assert msgspec.json.decode(canonical, type=Scenario).digest == scenario.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: sample\nversion: 2\n", "version: 2\nid: sample\n"),
        ("retention_days: 30", "retention_days: 30\n\n# a comment"),
        ("necessity: {zh: 必要, en: Needed}", "necessity:\n      zh: 必要\n      en: Needed"),
        ("version: 2", "version: 2\npublished: true"),
        ("answer_ttl: 24h", "answer_ttl: 1d"),
    ],
)
def test_the_layout_of_the_file_does_not_matter(workshop: Workshop, old: str, new: str) -> None:
    before = digest(workshop)
    workshop.change(workshop.scenario, old, new)
    assert digest(workshop) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 2", "version: 3"),
        ("at_least: 2}", "at_least: 3}"),
        ("max_age: 400d", "max_age: 399d"),
        ("en: Needed", "en: Wanted"),
        ("[A, B]", "[B, A]"),
        ("version: 2", "version: 2\npublished: false"),
    ],
)
def test_any_other_content_has_another_digest(workshop: Workshop, old: str, new: str) -> None:
    before = digest(workshop)
    workshop.change(workshop.scenario, old, new)
    assert digest(workshop) != before


def test_no_two_scenarios_share_one() -> None:
    digests = [scenario.digest for scenario in _published()]
    assert len(set(digests)) == len(digests) == 17


def _published() -> list[Scenario]:
    return Registry.load(Catalogue.load()).all()
