"""The ordinary way to write the same check: a session for each request, a query for each thing it needs.

The same libraries, tables, pure rules and guarantees (a proof works once, an idempotency key has one effect, a use and
its ledger entry are one transaction, the receipt is given after the commit), as the libraries' own guides show them:
statements in an ``AsyncSession`` that lives as long as the
request, joserfc for tokens and proofs, redis-py for what may happen once.

``python -m benchmarks.ordinary --port PORT`` serves it over an installation that ``XINYI_*`` variables name.
"""

import hashlib
import hmac
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from joserfc.jws import extract_compact
from litestar import Litestar, Request, Response, post
from litestar.exceptions import HTTPException
from litestar.params import HeaderParameter
from redis.asyncio import Redis
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from xinyi.catalogue.service import Catalogue
from xinyi.checks.model import Answer, CheckBody, CheckRequest, ScenarioRef, check_entry, new_salts
from xinyi.checks.tables import checks
from xinyi.consents.tables import consents
from xinyi.kernel.canonical import b64url, canonical_json
from xinyi.kernel.clock import SystemClock, epoch_seconds, whole_seconds
from xinyi.kernel.ids import new_id
from xinyi.ledger.checkpoint import sign
from xinyi.ledger.model import Checkpoint
from xinyi.ledger.receipt import receipts
from xinyi.ledger.tables import ledger_checkpoints, ledger_entries, ledger_head, ledger_leaves, ledger_nodes
from xinyi.ledger.tree import Frontier, leaf_hash
from xinyi.partners.tables import client_scenarios, clients, partners
from xinyi.records.model import Record
from xinyi.records.tables import records, withholdings
from xinyi.scenarios.criteria import evaluate
from xinyi.scenarios.disclosure import minimise
from xinyi.scenarios.model import Scenario
from xinyi.scenarios.registry import Registry
from xinyi.settings import load_settings
from xinyi.storage.database import driver_url
from xinyi.storage.idempotency import idempotency_keys
from xinyi.subjects.sealing import Pseudonyms
from xinyi.wiring import installation_keys

from .yardsticks import serve

POOL: Final = 20
_LATE, _EARLY, _REMEMBER = 60, 10, 75


class Ordinary:
    """What every request needs."""

    def __init__(self) -> None:
        settings = load_settings()
        assert settings.cache_url is not None
        self.issuer = settings.issuer
        self.keys = installation_keys(settings, SystemClock())
        self.token_keys = KeySet([ECKey.import_key(jwk) for jwk in self.keys.token.public_jwks()["keys"]])
        self.claims = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.issuer}, aud={"essential": True, "value": self.issuer}
        )
        self.redis = Redis.from_url(settings.cache_url)
        engine = create_async_engine(driver_url(settings.effective_database_url), pool_size=POOL)
        self.sessions = async_sessionmaker(engine, expire_on_commit=False)
        self.pseudonyms = Pseudonyms(self.keys)
        self.scenarios = Registry.load(Catalogue.load())

    async def caller(self, request: Request[Any, Any, Any]) -> tuple[str, str]:
        """The client's and the partner's id. Raises ``HTTPException(401)``."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        proof = request.headers.get("dpop", "")
        try:
            if scheme != "DPoP":
                raise ValueError("not a DPoP token")
            claims = jwt.decode(token, self.token_keys, algorithms=["ES256"]).claims
            self.claims.validate(claims)
            key = ECKey.import_key(extract_compact(proof.encode()).headers()["jwk"])
            said = jwt.decode(proof, key, algorithms=["ES256"])
            self._require_fit(said, request.url.path, token, key, claims["cnf"]["jkt"])
        except (JoseError, ValueError, KeyError) as error:
            raise HTTPException(status_code=401, detail=str(error)) from error
        if not await self.redis.set(
            f"ordinary:{claims['cnf']['jkt']}:{said.claims['jti']}", b"", nx=True, ex=_REMEMBER
        ):
            raise HTTPException(status_code=401, detail="the proof was used before")
        if "checks" not in claims["scope"].split():
            raise HTTPException(status_code=403)
        return claims["client_id"], claims["partner_id"]

    def _require_fit(self, proof: jwt.Token, path: str, token: str, key: ECKey, jkt: str) -> None:
        now = datetime.now(UTC).timestamp()
        fits = (
            proof.header["typ"] == "dpop+jwt"
            and proof.claims["htm"] == "POST"
            and proof.claims["htu"] == self.issuer + path
            and -_EARLY <= now - proof.claims["iat"] <= _LATE
            and hmac.compare_digest(proof.claims["ath"], b64url(hashlib.sha256(token.encode()).digest()))
            and key.thumbprint() == jkt
        )
        if not fits:
            raise ValueError("the proof doesn't fit the request")

    async def answer(
        self, session: AsyncSession, client_id: str, partner_id: str, asked: CheckRequest, key: str | None
    ) -> str:
        """The body of the answer, stored with all that belongs to it. Raises ``HTTPException``."""
        digest = hashlib.sha256(canonical_json(asked)).hexdigest()
        if key is not None and (earlier := await self._earlier(session, partner_id, key, digest)) is not None:
            return earlier
        wanted = select(consents).where(consents.c.id == asked.consent_id).with_for_update()
        consent = (await session.execute(wanted)).one_or_none()
        if consent is None or consent.partner_id != partner_id:
            raise HTTPException(status_code=404)
        scenario = self.scenarios.get(asked.scenario)
        now = datetime.now(UTC)
        units = await self._entitled(session, client_id, scenario)
        _require_open(consent, scenario, now)
        found = await self._records(session, consent.subject_id, scenario)
        disclosure = minimise(scenario, evaluate(scenario, found, now), consent.units, units)
        answer = Answer(
            id=new_id("chk", now),
            scenario=ScenarioRef(scenario.id, scenario.version, scenario.digest),
            subject=self.pseudonyms.pairwise(consent.subject_id, partner_id),
            outcome=disclosure.outcome,
            criteria=disclosure.criteria,
            disclosed=disclosure.disclosed,
            salts=new_salts(disclosure),
            as_of=whole_seconds(now),
            valid_until=min(whole_seconds(now) + scenario.answer_ttl, consent.expires_at),
            consent_expires_at=consent.expires_at,
        )
        entry = check_entry(
            answer,
            consent_id=consent.id,
            partner_id=partner_id,
            sub_party_id=consent.sub_party_id,
            reference=asked.reference,
        )
        await session.execute(
            update(consents).where(consents.c.id == consent.id).values(use_count=consents.c.use_count + 1)
        )
        if key is not None:
            used = {"owner": partner_id, "key": key, "digest": digest, "resource": answer.id, "created_at": now}
            await session.execute(insert(idempotency_keys), used)
        receipt = await self._append(session, answer.id, entry, now)
        body = msgspec.json.encode(CheckBody(answer, receipt)).decode()
        await session.execute(
            insert(checks),
            {
                "id": answer.id,
                "partner_id": partner_id,
                "client_id": client_id,
                "subject_id": consent.subject_id,
                "consent_id": consent.id,
                "scenario_id": scenario.id,
                "scenario_version": scenario.version,
                "reference": asked.reference,
                "outcome": answer.outcome,
                "body": body,
                "created_at": now,
            },
        )
        return body

    async def _earlier(self, session: AsyncSession, partner_id: str, key: str, digest: str) -> str | None:
        """The body that the key's first use gave. Raises ``HTTPException(422)`` when that was another request."""
        k = idempotency_keys.c
        found = await session.execute(
            select(k.digest, checks.c.body)
            .join(checks, checks.c.id == k.resource)
            .where(k.owner == partner_id, k.key == key)
        )
        row = found.one_or_none()
        if row is not None and row.digest != digest:
            raise HTTPException(status_code=422)
        return None if row is None else str(row.body)

    async def _entitled(self, session: AsyncSession, client_id: str, scenario: Scenario) -> frozenset[str]:
        """The units that the client may learn. Raises ``HTTPException(403)``."""
        row = (
            await session.execute(
                select(client_scenarios.c.units)
                .select_from(clients)
                .join(partners, clients.c.partner_id == partners.c.id)
                .join(client_scenarios, client_scenarios.c.client_id == clients.c.id)
                .where(clients.c.id == client_id, client_scenarios.c.scenario_id == scenario.id)
                .where(clients.c.status == "active", partners.c.status == "active")
            )
        ).one_or_none()
        if row is None:
            raise HTTPException(status_code=403)
        return scenario.units if row.units is None else frozenset(row.units)

    async def _records(self, session: AsyncSession, subject_id: str, scenario: Scenario) -> list[Record]:
        found = await session.execute(
            select(records).where(records.c.subject_id == subject_id, records.c.record_type.in_(scenario.record_types))
        )
        withheld = set(
            await session.scalars(
                select(withholdings.c.record_type).where(
                    withholdings.c.subject_id == subject_id, withholdings.c.scenario_id == scenario.id
                )
            )
        )
        return [
            Record(
                record_type=row.record_type,
                source=row.source_id,
                source_ref=row.source_ref,
                observed_at=row.observed_at,
                valid_until=row.valid_until,
                fields=row.fields,
                disputed=row.disputed_at is not None,
                suppressed=row.suppressed_at is not None,
                withheld=row.record_type in withheld,
            )
            for row in found
        ]

    async def _append(self, session: AsyncSession, check_id: str, entry: bytes, now: datetime) -> str:
        """The receipt. The head is locked as late as can be: everyone waits for it."""
        head = (await session.execute(select(ledger_head).with_for_update())).one()
        growth = Frontier.from_bytes(head.tree_size, head.frontier).grow([leaf_hash(entry)])
        size, root, log_id = growth.after.size, growth.after.root(), head.log_id
        said = Checkpoint(
            iss=self.issuer, log_id=log_id, tree_size=size, root_hash=b64url(root), iat=epoch_seconds(now)
        )
        checkpoint = sign(said, self.keys.ledger.signing)
        leaf = {"log_id": log_id, "leaf_index": size - 1}
        await session.execute(
            insert(ledger_leaves), {**leaf, "leaf_hash": leaf_hash(entry), "kind": "check", "entry_id": check_id}
        )
        await session.execute(insert(ledger_entries), {**leaf, "body": entry})
        nodes = [
            {"log_id": log_id, "level": level, "position": position, "hash": hash_}
            for (level, position), hash_ in growth.nodes.items()
            if level
        ]
        if nodes:
            await session.execute(insert(ledger_nodes), nodes)
        signed = {"log_id": log_id, "tree_size": size, "root_hash": root, "jws": checkpoint, "issued_at": now}
        await session.execute(insert(ledger_checkpoints), signed)
        await session.execute(
            update(ledger_head).values(tree_size=size, frontier=growth.after.to_bytes(), checkpoint=checkpoint)
        )
        return receipts([entry], growth, checkpoint)[0]


def _require_open(consent: Any, scenario: Scenario, now: datetime) -> None:
    in_force = (
        consent.scenario_id == scenario.id
        and consent.scenario_digest == scenario.digest
        and consent.authorised_at is not None
        and consent.paused_at is None
        and consent.ended_as is None
        and now < consent.expires_at
    )
    if not in_force:
        raise HTTPException(status_code=403)


def ordinary() -> Litestar:
    """The application."""
    shared = Ordinary()

    @post("/v1/checks", status_code=200)
    async def check(
        request: Request[Any, Any, Any],
        data: CheckRequest,
        idempotency_key: Annotated[str | None, HeaderParameter(name="idempotency-key", required=False)] = None,
    ) -> Response[bytes]:
        client_id, partner_id = await shared.caller(request)
        async with shared.sessions() as session, session.begin():
            body = await shared.answer(session, client_id, partner_id, data, idempotency_key)
        return Response(body.encode(), media_type="application/json")

    return Litestar([check], openapi_config=None, logging_config=None)


if __name__ == "__main__":
    serve(ordinary(), int(sys.argv[2]))
