"""Versions: which one is in use, and when a consent has to be asked for again."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.property.strategies import TELLING, TEXT
from tests.unit.scenarios.conftest import Workshop
from xinyi.catalogue.files import FileError
from xinyi.kernel.errors import Code, XinyiError
from xinyi.kernel.text import Text
from xinyi.scenarios.model import Condition, ConsentForm, ConsentTerms, Criterion, Disclose, Rule, Scenario, Uses
from xinyi.scenarios.registry import Registry, widens
from xinyi.subjects.model import SubjectKind

ONCE = ConsentTerms(form=ConsentForm.WRITTEN, max_days=90, uses=Uses.ONCE)
SEPARATE = replace(ONCE, form=ConsentForm.SEPARATE)
FIRST = replace(TELLING, consent=ONCE)
[CRITERION] = FIRST.criteria
OTHER = Condition(at_least=99)
[OTHER_KIND] = set(SubjectKind) - {FIRST.subject_kind}


def with_criterion(**changes: object) -> Scenario:
    return replace(FIRST, version=2, criteria=(replace(CRITERION, **changes),))


def with_another(**more: object) -> Scenario:
    other = Criterion(id="c2", record="T2", max_age=timedelta(days=30), necessity=TEXT)
    return replace(FIRST, version=2, criteria=(CRITERION, replace(other, **more)), rule=Rule(all_of=("c1", "c2")))


BANDED = replace(
    FIRST,
    criteria=(replace(CRITERION, disclose=Disclose.BAND, fields=(), bands={"n": (1, 10)}),),
)


@pytest.mark.parametrize(
    ("why", "old", "new"),
    [
        ("another field", with_criterion(fields=("g",)), FIRST),
        ("an outcome that was hidden", with_another(), with_another(disclose=Disclose.OUTCOME, disclosure_reason=TEXT)),
        ("another record type", FIRST, with_another()),
        ("another purpose", FIRST, replace(FIRST, version=2, purpose=Text("其他", "other"))),
        ("longer retention", FIRST, replace(FIRST, version=2, retention_days=FIRST.retention_days + 1)),
        ("longer consent", FIRST, replace(FIRST, version=2, consent=replace(ONCE, max_days=91))),
        ("more uses", FIRST, replace(FIRST, version=2, consent=replace(ONCE, uses=Uses.RECURRING))),
        ("answers that stand longer", FIRST, replace(FIRST, version=2, answer_ttl=timedelta(hours=25))),
        ("a value in place of a band", BANDED, with_criterion(fields=("n",))),
        (
            "finer bands",
            BANDED,
            replace(BANDED, version=2, criteria=(replace(BANDED.criteria[0], bands={"n": (1, 5, 10)}),)),
        ),
        ("the same unit about another fact", FIRST, with_criterion(record="T1B")),
        (
            "the same unit about another test",
            FIRST,
            with_criterion(test={**CRITERION.test, "n": OTHER}),
        ),
        ("the same unit about another time", FIRST, with_criterion(max_age=timedelta(days=30))),
        ("written consent", replace(FIRST, consent=SEPARATE), replace(FIRST, version=2)),
        ("another kind of subject", FIRST, replace(FIRST, version=2, subject_kind=OTHER_KIND)),
        ("another legal basis", FIRST, replace(FIRST, version=2, legal_basis=Text("其他", "other"))),
    ],
)
def test_what_widens_has_to_be_asked_for_again(why: str, old: Scenario, new: Scenario) -> None:
    assert widens(old, new), why
    assert Registry([old, replace(new, version=9)]).is_outdated(old)


@pytest.mark.parametrize(
    ("why", "old", "new"),
    [
        ("nothing but the number", FIRST, replace(FIRST, version=2)),
        ("fewer fields", FIRST, with_criterion(fields=("g",))),
        ("one criterion less", with_another(), replace(FIRST, version=3)),
        (
            "another time, of which nothing is told",
            with_another(),
            with_another(max_age=timedelta(days=9)),
        ),
        ("separate consent in place of written", FIRST, replace(FIRST, version=2, consent=SEPARATE)),
        ("shorter retention", FIRST, replace(FIRST, version=2, retention_days=1)),
        ("shorter consent", FIRST, replace(FIRST, version=2, consent=replace(ONCE, max_days=1))),
        ("a band in place of a value", with_criterion(fields=("n",)), replace(BANDED, version=3)),
        (
            "coarser bands",
            BANDED,
            replace(BANDED, version=2, criteria=(replace(BANDED.criteria[0], bands={"n": (1,)}),)),
        ),
        ("a kinder fallback", FIRST, replace(FIRST, version=2, fallback=Text("其他", "other"))),
    ],
)
def test_what_narrows_does_not(why: str, old: Scenario, new: Scenario) -> None:
    assert not widens(old, new), why
    assert not Registry([old, replace(new, version=9)]).is_outdated(old)


def test_the_latest_published_version_is_in_use() -> None:
    second, third = replace(FIRST, version=2), replace(FIRST, version=3, published=False)
    registry = Registry([third, FIRST, second])
    assert registry.get("sample") is second
    assert registry.all() == [second]
    assert registry.version("sample", 3) is third
    assert not registry.is_outdated(FIRST)


def test_a_consent_to_a_version_out_of_use_is_outdated() -> None:
    retired = replace(FIRST, published=False)
    assert Registry([retired, replace(FIRST, version=2)]).is_outdated(retired)
    assert Registry([retired]).is_outdated(retired)


@pytest.mark.parametrize(("scenario_id", "version"), [("nope", 1), ("sample", 2), ("sample", 0), ("sample", -1)])
def test_an_unknown_version_is_not_found(scenario_id: str, version: int) -> None:
    with pytest.raises(XinyiError) as caught:
        Registry([FIRST]).version(scenario_id, version)
    assert caught.value.code is Code.NOT_FOUND


def test_a_scenario_out_of_use_is_not_found() -> None:
    with pytest.raises(XinyiError) as caught:
        Registry([replace(FIRST, published=False)]).get("sample")
    assert caught.value.code is Code.NOT_FOUND


def test_older_versions_lie_beside_the_current_one(workshop: Workshop) -> None:
    for path in (workshop.scenario, workshop.cases):
        older = path.with_name(path.name.replace("sample", "sample.v1", 1))
        older.write_text(path.read_text("utf-8").replace("version: 2", "version: 1"), "utf-8")
    registry = Registry.load(workshop.catalogue(), workshop.folder)
    assert registry.get("sample").version == 2
    assert registry.version("sample", 1).version == 1
    assert len(registry.cases(registry.version("sample", 1))) == 6


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("sample.v1", "2", "says version 1"),
        ("sample.v2", "2", "must be older"),
        ("sample.v3", "3", "must be older"),
        ("other.v1", "1", "other.yaml is missing"),
    ],
)
def test_an_older_version_out_of_place_is_refused(workshop: Workshop, name: str, version: str, said: str) -> None:
    for path in (workshop.scenario, workshop.cases):
        misplaced = path.with_name(path.name.replace("sample", name, 1))
        misplaced.write_text(path.read_text("utf-8").replace("version: 2", f"version: {version}"), "utf-8")
    with pytest.raises(FileError, match=said):
        Registry.load(workshop.catalogue(), workshop.folder)
