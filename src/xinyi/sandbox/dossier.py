"""Writes the rows of one made-up subject, as its sources would send them."""

from datetime import date, timedelta

from ..records.rows import Row
from ..subjects.model import Identifier

MONTHLY_UTILITIES = ("UTIL_ELEC", "UTIL_GAS", "UTIL_WATER")


class Dossier:
    """The rows about one subject, as of ``today``.

    ``ref`` begins every source_ref and names the subject to nobody; the record type and a number follow it, so that
    rows made on another day are newer observations of the same facts. ``days_ago`` is when a source observed a fact.
    """

    def __init__(self, identifier: Identifier, ref: str, today: date) -> None:
        self._identifier = identifier
        self._ref = ref
        self._today = today
        self.rows: list[Row] = []

    def months(self, record_type: str, months: int, *, days_ago: int = 5) -> None:
        """Months in a row, up to the end of the month before the observation."""
        observed = self._day(days_ago)
        member = "months_no_arrears" if record_type in MONTHLY_UTILITIES else "months"
        self._add(record_type, observed, {member: months, "as_of": str(observed.replace(day=1) - timedelta(days=1))})

    def tax_rating(self, grade: str, *, years_ago: int = 0) -> None:
        """The grade of a year, which the tax authority publishes in the April after it."""
        this_year = date(self._today.year, 4, 20)
        latest = self._today.year if this_year <= self._today else self._today.year - 1
        observed = date(latest - years_ago, 4, 20)
        self._add("TAX_RATING", observed, {"year": observed.year - 1, "grade": grade})

    def licence(self, name: str, number: int, *, days_ago: int) -> None:
        decided = self._day(days_ago)
        self._add(
            "LICENCE",
            decided,
            {
                "number": f"示例许可〔{decided.year}〕{number}号",
                "name": name,
                "kind": "general",
                "decided_on": str(decided),
                "valid_to": str(decided + timedelta(days=5 * 365)),
                "authority": "示例市行政审批局",
            },
        )

    def incentive_list(self, name: str, *, days_ago: int = 60, for_days: int = 3 * 365) -> None:
        listed = self._day(days_ago)
        self._add("REDLIST", listed, {"list": name, "from": str(listed), "to": str(listed + timedelta(days=for_days))})

    def honour(self, title: str, level: str, *, days_ago: int = 200) -> None:
        day = self._day(days_ago)
        self._add("HONOUR", day, {"title": title, "level": level, "date": str(day)})

    def commitment_kept(self, number: int, *, days_ago: int = 30) -> None:
        fulfilled = self._day(days_ago)
        given = fulfilled - timedelta(days=90)
        self._add(
            "COMMITMENT",
            fulfilled,
            {
                "kind": "approval",
                "code": f"示例承诺{given.year}-{number}",
                "date": str(given),
                "acceptor": "示例市行政审批局",
                "fulfilled_on": str(fulfilled),
            },
        )

    def contracts(self, count: int, *, days_ago: int = 10) -> None:
        observed = self._day(days_ago)
        self._add("CONTRACT_PERF", observed, {"count": count, "last": str(observed - timedelta(days=20))})

    def customs(self, level: str, *, days_ago: int = 300) -> None:
        observed = self._day(days_ago)
        self._add("AEO", observed, {"level": level, "from": str(observed)})

    def tech_cert(self, kind: str, *, days_ago: int = 200) -> None:
        observed = self._day(days_ago)
        self._add("TECH_CERT", observed, {"kind": kind, "valid_to": str(observed + timedelta(days=3 * 365))})

    def patents(self, count: int, *, days_ago: int = 20) -> None:
        self._add("PATENT", self._day(days_ago), {"count": count})

    def volunteer(self, hours_band: str, stars: int | None, *, days_ago: int = 15) -> None:
        fields: dict[str, object] = {"hours_band": hours_band}
        if stars is not None:
            fields["stars"] = stars
        self._add("VOLUNTEER", self._day(days_ago), fields)

    def donations(self, years: int, *, days_ago: int = 100) -> None:
        self._add("DONATION", self._day(days_ago), {"years": years})

    def bravery(self, *, days_ago: int = 150) -> None:
        day = self._day(days_ago)
        self._add("BRAVERY", day, {"date": str(day)})

    def qualification(self, name: str, *, days_ago: int = 400) -> None:
        observed = self._day(days_ago)
        self._add("PRO_QUAL", observed, {"name": name, "valid_to": str(observed + timedelta(days=5 * 365))})

    def property(self, *, days_ago: int = 30) -> None:
        self._add("PROPERTY", self._day(days_ago), {"has_registered": True})

    def trades(self, months: int, *, days_ago: int = 4) -> None:
        """Months in a row in which every trade was fulfilled."""
        self.months("MKT_TRADE", months, days_ago=days_ago)

    def returns(self, count: int, *, days_ago: int = 4) -> None:
        """Things rented and given back as agreed."""
        observed = self._day(days_ago)
        self._add("MKT_RENTAL", observed, {"count": count, "since": str(observed - timedelta(days=365))})

    def _day(self, days_ago: int) -> date:
        return self._today - timedelta(days=days_ago)

    def _add(self, record_type: str, observed: date, fields: dict[str, object]) -> None:
        number = 1 + sum(row.record_type == record_type for row in self.rows)
        self.rows.append(
            Row(
                subject=self._identifier.value,
                record_type=record_type,
                source_ref=f"{self._ref}-{record_type}-{number}",
                region=self._identifier.region,
                observed_at=str(observed),
                fields=fields,
            )
        )
