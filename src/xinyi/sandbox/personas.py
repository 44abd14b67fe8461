"""The sandbox's personas: a few made-up subjects, one for each kind of outcome, to sign in as and to ask about."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Final

from msgspec import Struct

from ..kernel.text import Text
from ..records.rows import Row
from ..subjects.model import Identifier, SubjectKind
from . import identities
from .dossier import Dossier


class Persona(Struct, frozen=True):
    """One made-up subject. ``represented_by`` is the persona who signs in for a company."""

    id: str
    name: Text
    identifier: Identifier
    describes: Text
    represented_by: str | None = None

    @property
    def kind(self) -> SubjectKind:
        return self.identifier.kind

    @property
    def email(self) -> str:
        """An address that leads nowhere (RFC 2606)."""
        return f"{self.id}@people.example"


def personas() -> tuple[Persona, ...]:
    """All personas, companies first."""
    return tuple(persona for persona, _ in _CAST)


def rows(today: date) -> Iterator[Row]:
    """The rows of all personas, as their sources would send them on ``today``."""
    for persona, tell in _CAST:
        dossier = Dossier(persona.identifier, f"persona-{persona.id}", today)
        tell(dossier)
        yield from dossier.rows


def _company(number: int) -> Identifier:
    return identities.company(identities.PERSONA_REGION, number)


def _person(born: date, number: int) -> Identifier:
    return identities.person(identities.PERSONA_REGION, born, number)


def _all_that_a_company_may_have(it: Dossier) -> None:
    it.tax_rating("A")
    _taxes_and_wages(it, socins=24)
    for utility in ("UTIL_ELEC", "UTIL_WATER"):
        it.months(utility, 18)
    it.incentive_list("tax")
    it.honour("示例市示范企业", "municipal")
    it.commitment_kept(1)
    it.contracts(5)
    it.customs("advanced")
    it.tech_cert("high-tech")
    it.patents(6)
    it.licence("示例经营许可", 1, days_ago=400)


def _short_social_insurance(it: Dossier) -> None:
    it.tax_rating("B")
    _taxes_and_wages(it, socins=3)
    it.months("UTIL_ELEC", 14)
    it.contracts(2)


def _no_tax_grade(it: Dossier) -> None:
    _taxes_and_wages(it, socins=12)
    it.months("UTIL_ELEC", 12)


def _company_observed_long_ago(it: Dossier) -> None:
    it.tax_rating("A", years_ago=4)
    for record_type in ("TAX_ONTIME", "SOCINS_PAID", "HPF_PAID", "UTIL_ELEC"):
        it.months(record_type, 36, days_ago=900)
    it.contracts(8, days_ago=1500)


def _sole_proprietor(it: Dossier) -> None:
    it.months("TAX_ONTIME", 30)
    it.months("UTIL_ELEC", 20)


def _taxes_and_wages(it: Dossier, *, socins: int) -> None:
    it.months("TAX_ONTIME", 30)
    it.months("SOCINS_PAID", socins)
    it.months("HPF_PAID", socins)


def _settled_resident(it: Dossier) -> None:
    it.months("SOCINS_PAID", 36)
    it.months("HPF_PAID", 30)
    for utility in ("UTIL_ELEC", "UTIL_GAS", "UTIL_WATER"):
        it.months(utility, 24)
    it.incentive_list("volunteer")
    it.volunteer("h100-299", 3)
    it.honour("示例市文明市民", "municipal")
    it.returns(12)


def _below_every_threshold(it: Dossier) -> None:
    it.months("SOCINS_PAID", 2)
    it.months("HPF_PAID", 2)
    it.months("UTIL_ELEC", 3)
    it.returns(1)


def _resident_observed_long_ago(it: Dossier) -> None:
    for record_type in ("SOCINS_PAID", "HPF_PAID", "UTIL_ELEC"):
        it.months(record_type, 60, days_ago=900)


def _honours_alone(it: Dossier) -> None:
    it.volunteer("h600-up", 5)
    it.honour("示例省优秀志愿者", "provincial")
    it.bravery()
    it.donations(4)


def _returns_alone(it: Dossier) -> None:
    it.returns(8)


def _representative(it: Dossier) -> None:
    it.months("SOCINS_PAID", 20)
    it.qualification("示例会计资格")


def _nothing(it: Dossier) -> None:
    """Nobody has sent anything."""


_CAST: Final[tuple[tuple[Persona, Callable[[Dossier], None]], ...]] = (
    (
        Persona(
            "company-a",
            Text("示例小微企业甲", "Sample Company A"),
            _company(1),
            Text("各项记录齐全", "Has a current record of every kind a company may have"),
            "representative-a",
        ),
        _all_that_a_company_may_have,
    ),
    (
        Persona(
            "company-b",
            Text("示例小微企业乙", "Sample Company B"),
            _company(2),
            Text("社会保险费连续缴纳 3 个月", "Three months of social insurance in a row; the rest is longer"),
            "representative-a",
        ),
        _short_social_insurance,
    ),
    (
        Persona(
            "company-c",
            Text("示例小微企业丙", "Sample Company C"),
            _company(3),
            Text("没有纳税缴费信用级别", "Has no tax payment credit grade"),
            "representative-a",
        ),
        _no_tax_grade,
    ),
    (
        Persona(
            "company-d",
            Text("示例小微企业丁", "Sample Company D"),
            _company(4),
            Text("所有记录均已过时", "Every record was observed long ago"),
            "representative-a",
        ),
        _company_observed_long_ago,
    ),
    (
        Persona(
            "sole-proprietor-a",
            Text("示例个体工商户甲", "Sample Sole Proprietor A"),
            identities.company(identities.PERSONA_REGION, 5, sole_proprietor=True),
            Text("个体工商户，信息按个人信息保护", "A sole proprietor: all of it is personal information"),
            "representative-a",
        ),
        _sole_proprietor,
    ),
    (
        Persona(
            "person-a",
            Text("示例居民甲", "Sample Resident A"),
            _person(date(1990, 3, 7), 1),
            Text(
                "社保、公积金、水电燃气均连续缴纳", "Pays social insurance, housing fund and utilities month by month"
            ),
        ),
        _settled_resident,
    ),
    (
        Persona(
            "person-b",
            Text("示例居民乙", "Sample Resident B"),
            _person(date(2003, 9, 21), 2),
            Text("各项记录均低于常见条件", "Has a few records, each below the usual thresholds"),
        ),
        _below_every_threshold,
    ),
    (
        Persona(
            "person-c",
            Text("示例居民丙", "Sample Resident C"),
            _person(date(1978, 12, 1), 3),
            Text("所有记录均已过时", "Every record was observed long ago"),
        ),
        _resident_observed_long_ago,
    ),
    (
        Persona(
            "person-d",
            Text("示例居民丁", "Sample Resident D"),
            _person(date(2001, 1, 15), 4),
            Text("没有任何记录", "Has no record at all"),
        ),
        _nothing,
    ),
    (
        Persona(
            "person-e",
            Text("示例居民戊", "Sample Resident E"),
            _person(date(1985, 6, 30), 5),
            Text("只有志愿服务与荣誉，可选择不予记入", "Has honours alone, which may be kept off the record"),
        ),
        _honours_alone,
    ),
    (
        Persona(
            "person-f",
            Text("示例居民己", "Sample Resident F"),
            _person(date(1998, 8, 8), 6),
            Text("只有按约归还的记录", "Has returned what was rented, and has no other record"),
        ),
        _returns_alone,
    ),
    (
        Persona(
            "representative-a",
            Text("示例企业代表甲", "Sample Representative A"),
            _person(date(1982, 5, 19), 7),
            Text("代表各示例企业办理授权", "Acts for the sample companies"),
        ),
        _representative,
    ),
)
