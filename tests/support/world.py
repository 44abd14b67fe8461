"""One installation in a folder of its own, with short ways to make what a test is about."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey
from msgspec import Struct
from sqlalchemy import insert

from tests.support.clock import ManualClock
from tests.support.pairs import Pair
from xinyi.checks.model import Ask, CheckRequest, Result
from xinyi.consents.model import Consent
from xinyi.kernel.ids import new_id
from xinyi.kernel.text import Language, Text
from xinyi.partners.model import Client
from xinyi.records.tables import records
from xinyi.sandbox import identities
from xinyi.subjects.model import Identifier
from xinyi.wiring import Services

PERSON = identities.person(1, date(1990, 5, 1), 7)
NEIGHBOUR = identities.person(1, date(1991, 6, 2), 8)
COMPANY = identities.company(1, 7)
SOURCE = "sample-source"


class Subject(Struct, frozen=True):
    """A registered subject."""

    id: str
    identifier: Identifier
    key: str

    @property
    def kind(self) -> str:
        return self.identifier.kind


class World:
    """The services of one installation, and what a test puts into it."""

    def __init__(self, services: Services, clock: ManualClock) -> None:
        self.services = services
        self.clock = clock
        self.private_keys: dict[str, dict[str, Any]] = {}
        """The private JWK of each client, by its id."""
        self._records = 0

    async def client(
        self, *scenarios: str, units: Mapping[str, frozenset[str]] | None = None, kind: str = "bank", **more: Any
    ) -> Client:
        """A client of a new partner, with keys of its own, for these scenarios."""
        s = self.services
        key = ECKey.generate_key("P-256").as_dict(private=True, kid="k1")
        jwks = {"keys": [{name: key[name] for name in ("kty", "crv", "x", "y", "kid")}]}
        given = {scenario: (units or {}).get(scenario) for scenario in scenarios}
        async with s.database.transaction() as tx:
            partner = await s.partners.add_partner(
                tx, Text("示例机构", "Sample Partner"), kind, "privacy@partner.example"
            )
            client = await s.partners.add_client(tx, partner.id, "test", jwks, scenarios=given, **more)
        self.private_keys[client.id] = key
        return client

    async def subject(self, identifier: Identifier = PERSON) -> Subject:
        s = self.services
        async with s.database.transaction() as tx:
            return Subject(await s.subjects.ensure(tx, identifier), identifier, s.subjects.key_of(identifier))

    async def record(self, subject: Subject, record_type: str, *, days_ago: float = 1, **fields: str | int) -> str:
        """A record that the sample source observed some days ago; gives its id."""
        now = self.clock.now()
        self._records += 1
        row = {
            "id": new_id("rec", now),
            "subject_id": subject.id,
            "record_type": record_type,
            "source_id": SOURCE,
            "source_ref": f"test-{self._records}",
            "region": "990001",
            "observed_at": now - timedelta(days=days_ago),
            "fields": fields,
            "digest": f"test-{self._records}",
            "fact": self.services.kept_off.fact(subject.id, record_type, fields),
            "imported_at": now,
        }
        async with self.services.database.transaction() as tx:
            await tx.execute(insert(records), row)
        return str(row["id"])

    async def asked(self, client: Client, scenario: str, named: Subject | None = None) -> Consent:
        """A consent that waits for its answer."""
        s = self.services
        async with s.database.transaction() as tx:
            return await s.consents.request(tx, client, s.scenarios.get(scenario), named.key if named else None)

    async def consent(self, client: Client, scenario: str, subject: Subject) -> Consent:
        """A consent that the subject gave."""
        consents = self.services.consents
        asked = await self.asked(client, scenario)
        who = {"subject_id": subject.id, "kind": subject.kind}
        _, notice = await consents.show(asked.id, language=Language.ZH, **who)
        return await consents.authorise(asked.id, notice_digest=notice.digest, language=Language.ZH, **who)

    async def check(self, ask: Ask) -> Result:
        """What the engine answers when this is all that waits."""
        return (await self.services.checks.run([ask]))[0]


def ask(client: Client, consent: Consent, *, scenario: str | None = None, key: str | None = None, **more: Any) -> Ask:
    """A client's question under a consent, about the consented scenario unless another is named."""
    assert client.partner_id is not None
    request = CheckRequest(
        scenario=scenario or consent.scenario_id, consent_id=consent.id, reference=more.pop("reference", "CASE-1")
    )
    return Ask(
        client_id=client.id,
        partner_id=client.partner_id,
        bound_consent_id=more.pop("bound", None),
        request=request,
        idempotency_key=key,
    )


@asynccontextmanager
async def new_world(
    folder: Path, pair: Pair, clock: ManualClock | None = None, **settings: Any
) -> AsyncGenerator[World]:
    """A fresh world in ``folder``, its engine at work, with one source that supplies every type."""
    clock = clock or ManualClock()
    services = Services.build(pair.settings(folder, **settings), clock)
    clock.followers.append(lambda by: pair.time_passes(folder, by))
    async with services.running():
        async with services.database.transaction() as tx:
            codes = [record_type.code for record_type in services.catalogue]
            await services.partners.add_source(tx, SOURCE, Text("示例来源", "Sample Source"), codes)
        yield World(services, clock)
