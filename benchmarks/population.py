"""Made-up companies with records and consents, written in bulk.

Asking ten thousand of them on the consent page would take longer than the whole benchmark, and none of it is measured:
a check reads the rows, however they came.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from xinyi.consents.tables import consents
from xinyi.kernel.ids import new_id
from xinyi.partners.model import Client
from xinyi.records.tables import records
from xinyi.sandbox import identities
from xinyi.sandbox.sources import SOURCE_OF
from xinyi.scenarios.model import Scenario
from xinyi.subjects.sealing import Pseudonyms
from xinyi.subjects.tables import subjects

from .bulk import Bulk

SCENARIO: Final = "microloan-prescreen"
RECORDS_EACH: Final = 5
_MONTHS: Final = (2, 8, 14, 20, 26, 32, 38)
"""Months in a row: most companies meet the scenario's criteria, some don't."""


class Population:
    """``size`` companies, each with five records and one consent, given to one of the ``clients`` in turn."""

    def __init__(self, size: int, clients: Sequence[Client], scenario: Scenario, now: datetime) -> None:
        self._clients = clients
        self._scenario = scenario
        self._now = now
        # A millisecond apart, as rows that come one by one: ids sort by time.
        start = now - timedelta(days=1)
        moments = [start + timedelta(milliseconds=number) for number in range(size)]
        self._subjects = [new_id("sub", at) for at in moments]
        self._consents = [new_id("cns", at) for at in moments]

    def consents(self, client: int) -> list[str]:
        """The consents that this client was given."""
        return self._consents[client :: len(self._clients)]

    async def store(self, bulk: Bulk, pseudonyms: Pseudonyms) -> None:
        """Writes everything. The sources must be registered."""
        now = bulk.moment(self._now)
        await bulk.load(
            subjects,
            ("id", "kind", "identifier_key", "identifier_sealed", "seal_version", "created_at"),
            self._subject_rows(pseudonyms, now),
        )
        await bulk.load(
            records,
            (
                *("id", "subject_id", "record_type", "source_id", "source_ref", "region"),
                *("observed_at", "fields", "digest", "imported_at"),
            ),
            self._record_rows(bulk, now),
        )
        await bulk.load(consents, _CONSENT_COLUMNS, self._consent_rows(bulk, now))

    def _subject_rows(self, pseudonyms: Pseudonyms, now: Any) -> Iterator[Sequence[Any]]:
        for number, subject_id in enumerate(self._subjects):
            identifier = identities.company(1, number)
            version, sealed = pseudonyms.seal(subject_id, identifier)
            yield subject_id, identifier.kind.value, pseudonyms.key_of(identifier), sealed, version, now

    def _record_rows(self, bulk: Bulk, now: Any) -> Iterator[Sequence[Any]]:
        chance = random.Random(1)  # noqa: S311 (made-up companies, not secrets)
        lately, in_april = bulk.moment(self._now - timedelta(days=5)), bulk.moment(self._now - timedelta(days=200))
        graded = [_json({"year": self._now.year - 1, "grade": grade}) for grade in "ABM"]
        paid = {
            member: [_json({member: months, "as_of": f"{self._now:%Y-%m-01}"}) for months in _MONTHS]
            for member in ("months", "months_no_arrears")
        }
        kinds = (
            ("TAX_RATING", in_april, graded),
            ("TAX_ONTIME", lately, paid["months"]),
            ("SOCINS_PAID", lately, paid["months"]),
            ("HPF_PAID", lately, paid["months"]),
            ("UTIL_ELEC", lately, paid["months_no_arrears"]),
        )
        start = self._now - timedelta(days=1)
        for number, subject_id in enumerate(self._subjects):
            at = start + timedelta(milliseconds=number)
            for code, observed, fields in kinds:
                ref = f"bench-{code}-{number:09}"
                chosen = chance.choice(fields)
                yield (
                    *(new_id("rec", at), subject_id, code, SOURCE_OF[code], ref, "990001"),
                    *(observed, chosen, "bench", now),
                )

    def _consent_rows(self, bulk: Bulk, now: Any) -> Iterator[Sequence[Any]]:
        scenario, ends = self._scenario, bulk.moment(self._now + timedelta(days=80))
        units = _json(sorted(scenario.units))
        for number, (subject_id, consent_id) in enumerate(zip(self._subjects, self._consents, strict=True)):
            client = self._clients[number % len(self._clients)]
            yield (
                *(consent_id, client.partner_id, client.id, scenario.id, scenario.version, scenario.digest, units),
                *(scenario.consent.form.value, scenario.consent.uses.value, "redirect", subject_id, "zh", "bench"),
                *(now, ends, now, ends, 0),
            )


_CONSENT_COLUMNS: Final = (
    *("id", "partner_id", "client_id", "scenario_id", "scenario_version", "scenario_digest", "units"),
    *("form", "uses", "channel", "subject_id", "language", "notice_digest"),
    *("created_at", "request_expires_at", "authorised_at", "expires_at", "use_count"),
)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
