"""The record types that come with the product, and what can't be declared."""

import shutil
from pathlib import Path

import pytest

from xinyi.catalogue.files import FileError
from xinyi.catalogue.location import scenarios_dir
from xinyi.catalogue.model import Origin, Sensitivity
from xinyi.catalogue.service import Catalogue

CATALOGUE = Catalogue.load()

FIELDS = {
    "TAX_RATING": "year grade",
    "TAX_ONTIME": "months as_of",
    "SOCINS_PAID": "months as_of",
    "HPF_PAID": "months as_of",
    "UTIL_WATER": "months_no_arrears as_of",
    "UTIL_ELEC": "months_no_arrears as_of",
    "UTIL_GAS": "months_no_arrears as_of",
    "LICENCE": "number name kind decided_on valid_to authority",
    "REDLIST": "list from to",
    "HONOUR": "title level date",
    "COMMITMENT": "kind code date acceptor fulfilled_on",
    "CONTRACT_PERF": "count last",
    "AEO": "level from",
    "VOLUNTEER": "hours_band stars",
    "DONATION": "years",
    "BLOOD": "count_band",
    "BRAVERY": "date",
    "TECH_CERT": "kind valid_to",
    "PATENT": "count",
    "PROPERTY": "has_registered",
    "PRO_QUAL": "name valid_to",
    "MKT_RENTAL": "count since",
    "MKT_TRADE": "months as_of",
}


def test_the_data_list_is_complete() -> None:
    assert {record_type.code: " ".join(record_type.fields) for record_type in CATALOGUE} == FIELDS


def test_honours_can_be_kept_off_the_record() -> None:
    suppressible = {record_type.code for record_type in CATALOGUE if record_type.suppressible}
    assert suppressible == {"HONOUR", "VOLUNTEER", "DONATION", "BRAVERY"}


def test_what_is_sensitive_is_said_to_be() -> None:
    sensitive = {record_type.code for record_type in CATALOGUE if record_type.sensitivity is Sensitivity.SENSITIVE}
    assert sensitive == {"BLOOD", "PROPERTY"}


def test_blood_donation_is_off_by_default() -> None:
    assert [record_type.code for record_type in CATALOGUE if not record_type.enabled] == ["BLOOD"]


def test_what_the_market_holds_is_said_to_be() -> None:
    assert {each.code for each in CATALOGUE if each.origin is Origin.MARKET} == {"MKT_RENTAL", "MKT_TRADE"}


def test_no_standard_is_named_that_nobody_read() -> None:
    assert {record_type.std_ref for record_type in CATALOGUE} == {""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(scenarios_dir() / "record-types", tmp_path / "record-types")
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("polarity: positive", "polarity: negative", 7, "negative"),
        ("refresh: monthly", "refresh: monthly\nweight: 3", 10, "unknown field `weight`"),
        ("origin: public", "origin: 7", 8, "expected `str`, got `int`"),
        ("sensitivity: personal", "sensitivity: none", 10, "none"),
        ("subject_kinds: [legal_person, natural_person]", "subject_kinds: [robot]", 6, "robot"),
        ("code: SOCINS_PAID", "code: SOCINS", 3, "must be named socins.yaml"),
        ("months: {", "balance: {", 12, "a personal amount"),
        ("en: months in a row", "en: income", 12, "a personal amount"),
        ("zh: 连续月数", "zh: 存款", 12, "a personal amount"),
        ("months: {", "score: {", 12, "a score, weight or rank"),
        ("months: {", "blood_type: {", 12, "blood type"),
        ("months: {", "fingerprint: {", 12, "fingerprints"),
        ("en: months in a row", "en: religion", 12, "religion"),
        ("zh: 社会保险费缴纳", "zh: 失信被执行人", 4, "only positive facts"),
        ("months: {", "source_ref: {", 3, "member of every record"),
        ("min: 1, max: 600", "min: 1", 12, "missing required field `max`"),
        ("type: int, min: 1, max: 600", "type: float", 12, "float"),
    ],
)
def test_a_record_type_that_breaks_the_rules_is_refused(folder: Path, old: str, new: str, line: int, said: str) -> None:
    path = folder / "record-types" / "socins-paid.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(FileError) as caught:
        Catalogue.load(folder)
    (problem,) = caught.value.problems
    assert said in problem.message
    assert (problem.path, problem.line) == (path, line)


def test_every_problem_of_every_file_is_told_at_once(folder: Path) -> None:
    for name in ("aeo", "patent"):
        path = folder / "record-types" / f"{name}.yaml"
        path.write_text(path.read_text("utf-8").replace("polarity: positive", "polarity: bad"), "utf-8")
    with pytest.raises(FileError) as caught:
        Catalogue.load(folder)
    assert [problem.path.stem for problem in caught.value.problems] == ["aeo", "patent"]


def test_an_empty_folder_is_no_data_list(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="holds no record types"):
        Catalogue.load(tmp_path)
