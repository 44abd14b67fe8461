"""What is asked, what is answered, and what the ledger keeps of it."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from ..kernel.canonical import b64url, canonical_json, digest_bytes, unb64url
from ..kernel.errors import Code
from ..scenarios.disclosure import CriterionOutcome, Disclosure
from ..scenarios.model import Outcome, Value

Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00-\x1f\x7f\ud800-\udfff]+$",
        description="The partner's own case number: ties each use of a consent to a case. Stored as given.",
        examples=["LOAN-2026-000123"],
    ),
]


class CheckRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """One question: is this scenario's rule met, under this consent?"""

    scenario: Annotated[
        str,
        Meta(
            pattern="^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
            max_length=60,
            description="The scenario's id.",
            examples=["bike-deposit"],
        ),
    ]
    consent_id: Annotated[
        str,
        Meta(
            pattern="^[a-z0-9_]+$",
            max_length=64,
            description="The consent.",
            examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"],
        ),
    ]
    reference: Reference


class ScenarioRef(Struct, frozen=True):
    """The version of a scenario that was evaluated."""

    id: Annotated[str, Meta(description="The scenario's id.", examples=["bike-deposit"])]
    version: Annotated[int, Meta(ge=1, description="Its version.", examples=[1])]
    digest: Annotated[str, Meta(description="SHA-256 over its canonical form.", examples=["sha-256:8Vq3…"])]


class Answer(Struct, frozen=True, kw_only=True):
    """The smallest possible answer.

    ``criteria`` has the criteria whose outcome the scenario discloses; ``disclosed`` the values and bands it discloses,
    and ``salts`` the 128-bit salt that opens each one's commitment in the receipt.
    """

    id: Annotated[str, Meta(description="The check.", examples=["chk_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    scenario: ScenarioRef
    subject: Annotated[str, Meta(description="The subject, as this partner alone knows them.", examples=["psn_x4Jt…"])]
    outcome: Annotated[Outcome, Meta(description="Whether the scenario's rule is met.")]
    criteria: Annotated[tuple[CriterionOutcome, ...], Meta(description="The outcomes the scenario discloses.")]
    disclosed: Annotated[
        dict[str, dict[str, Value]],
        Meta(description="By criterion and field: the values and bands that are disclosed."),
    ]
    salts: Annotated[dict[str, dict[str, str]], Meta(description="By criterion and field: what opens the commitment.")]
    as_of: Annotated[datetime, Meta(tz=True, description="When the records were looked at.")]
    valid_until: Annotated[
        datetime, Meta(tz=True, description="`as_of` plus the scenario's answer_ttl, within the consent.")
    ]
    consent_expires_at: Annotated[datetime, Meta(tz=True, description="When the consent ends.")]


class CheckBody(Struct, frozen=True):
    """An answer with its receipt, which verifies offline."""

    data: Answer
    receipt: Annotated[
        str,
        Meta(
            description="`entry ~ inclusion proof ~ signed checkpoint`; see docs/explanation/receipts.md.",
            examples=["eyJraW5kIjoiY2hlY2siLCJp….~eyJsZWFmX2luZGV4Ijo….~eyJhbGciOiJFUzI1NiIs…"],
        ),
    ]


class ReceiptBody(Struct, frozen=True):
    """A receipt alone."""

    receipt: Annotated[str, Meta(description="The check's receipt.")]


class Ask(Struct, frozen=True, kw_only=True):
    """A request with who sent it: what the engine works on."""

    client_id: str
    partner_id: str
    bound_consent_id: str | None
    request: CheckRequest
    idempotency_key: str | None = None

    @property
    def digest(self) -> str:
        """Tells this request from another one under the same idempotency key."""
        return hashlib.sha256(b"POST /v1/checks\n" + canonical_json(self.request)).hexdigest()


class Answered(Struct, frozen=True):
    """The stored bytes of a :class:`CheckBody`, and the outcome in them."""

    check_id: str
    body: bytes
    outcome: str


class Refused(Struct, frozen=True):
    """A refusal. ``check_id`` is set when it was made under a known consent and left a leaf in the ledger.

    ``source`` points at the member of the request that is to blame.
    """

    code: Code
    check_id: str | None = None
    source: str | None = None


Result = Answered | Refused


def new_salts(disclosure: Disclosure) -> dict[str, dict[str, str]]:
    """A fresh 128-bit salt for each disclosed value, base64url, by criterion and field."""
    return {
        criterion: {field: b64url(secrets.token_bytes(16)) for field in fields}
        for criterion, fields in disclosure.disclosed.items()
    }


def commitment(salt: str, value: Value) -> str:
    """``sha-256:`` over the salt's bytes and the value's canonical JSON."""
    return _salted_digest(unb64url(salt), canonical_json(value))


def reference_digest(salt: str, reference: str) -> str:
    """``sha-256:`` over the entry's salt and the reference."""
    return _salted_digest(unb64url(salt), reference.encode())


def check_entry(answer: Answer, *, consent_id: str, partner_id: str, sub_party_id: str | None, reference: str) -> bytes:
    """What the ledger keeps of an answer: what was disclosed and no more, the values only as salted commitments.

    ``sub_party`` is there when the partner acted by one.
    """
    salt = secrets.token_bytes(16)
    return canonical_json(
        {
            "kind": "check",
            "id": answer.id,
            "scenario": answer.scenario,
            "consent_id": consent_id,
            "partner_id": partner_id,
            **_acting(sub_party_id),
            "subject": answer.subject,
            "reference_digest": _salted_digest(salt, reference.encode()),
            "outcome": answer.outcome,
            "criteria": answer.criteria,
            "commitments": {
                criterion: {field: commitment(answer.salts[criterion][field], value) for field, value in fields.items()}
                for criterion, fields in answer.disclosed.items()
            },
            "as_of": answer.as_of,
            "valid_until": answer.valid_until,
            "no_onward_supply": True,
            "salt": b64url(salt),
        }
    )


def refusal_entry(
    check_id: str, code: Code, ask: Ask, subject: str, at: datetime, *, sub_party_id: str | None
) -> bytes:
    """What the ledger keeps of a refusal: who asked what under which consent, and the code."""
    entry: Mapping[str, Any] = {
        "kind": "refusal",
        "id": check_id,
        "scenario": {"id": ask.request.scenario},
        "consent_id": ask.request.consent_id,
        "partner_id": ask.partner_id,
        **_acting(sub_party_id),
        "subject": subject,
        "code": code,
        "as_of": at,
        "salt": b64url(secrets.token_bytes(16)),
    }
    return canonical_json(entry)


def _acting(sub_party_id: str | None) -> dict[str, str]:
    return {} if sub_party_id is None else {"sub_party": sub_party_id}


def _salted_digest(salt: bytes, data: bytes) -> str:
    return digest_bytes(salt + data)
