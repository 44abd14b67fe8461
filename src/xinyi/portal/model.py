"""Consents and records as their subject sees them. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from ..catalogue.model import RecordType, shown
from ..checks.model import Answer
from ..consents.model import Consent, ConsentState, EndReason, Party, end, state
from ..feedback.model import Feedback
from ..kernel.text import Text
from ..partners.model import Partner, Source, SubParty
from ..records.model import Dispute, DisputeState, Settler, StoredRecord, due_within
from ..scenarios.model import ConsentForm, Scenario, Uses
from ..subjects.model import SubjectKind

Id = Annotated[str, Meta(min_length=1, max_length=64)]


class Named(Struct, frozen=True):
    """Something with an id and a name."""

    id: Annotated[str, Meta(description="Its id.", examples=["bike-deposit"])]
    name: Annotated[Text, Meta(description="Its name in Chinese and English.")]


PartnerAsked = Annotated[Named, Meta(description="Who asked.")]
Representative = Annotated[
    str,
    Meta(
        description="Who acted for the company, by a code that the company alone knows them by.",
        examples=["psn_8Zt0J1yKqvGm3nRcW5xbL2sDfH7pEaUo"],
    ),
]
SubPartyAsked = Annotated[Named, Meta(description="The partner's branch or merchant that asked, if one did.")]


class MyEnd(Struct, frozen=True):
    """How a consent ended."""

    at: Annotated[datetime, Meta(tz=True, description="When.")]
    by: Annotated[Party, Meta(description="Who ended it.")]
    reason: Annotated[EndReason, Meta(description="Why.")]


class MyConsent(Struct, frozen=True, kw_only=True):
    """One of the subject's consents."""

    id: Annotated[str, Meta(description="The consent.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    state: Annotated[ConsentState, Meta(description="Its state at this moment.")]
    partner: PartnerAsked
    sub_party: SubPartyAsked | None
    scenario: Annotated[Named, Meta(description="What for.")]
    scenario_version: Annotated[int, Meta(ge=1, description="The version that was agreed to.")]
    units: Annotated[tuple[str, ...], Meta(description="The criteria and fields that an answer may tell.")]
    form: Annotated[ConsentForm, Meta(description="Separate or written consent.")]
    uses: Annotated[Uses, Meta(description="Whether it carries one check or several.")]
    use_count: Annotated[int, Meta(ge=0, description="The checks made under it.")]
    last_used_at: Annotated[datetime, Meta(tz=True, description="When the last of them was made.")] | None
    notice_digest: Annotated[str, Meta(description="The digest of the notice that was shown.")] | None
    created_at: Annotated[datetime, Meta(tz=True, description="When it was asked for.")]
    authorised_at: Annotated[datetime, Meta(tz=True, description="When the subject agreed.")] | None
    representative: Representative | None
    expires_at: Annotated[datetime, Meta(tz=True, description="When it ends by itself.")] | None
    ended: MyEnd | None

    @property
    def open(self) -> bool:
        return self.ended is None


class MyRecord(Struct, frozen=True, kw_only=True):
    """One of the subject's records, with everything that is kept of it."""

    id: Annotated[str, Meta(description="The record.", examples=["rec_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    record_type: Annotated[Named, Meta(description="What it is, by the data list.")]
    source: Annotated[Named, Meta(description="Who supplied it.")]
    source_ref: Annotated[str, Meta(description="The source's own number for it.")]
    region: Annotated[str, Meta(description="The region, by GB/T 2260.", examples=["990000"])]
    observed_at: Annotated[datetime, Meta(tz=True, description="When the source observed it.")]
    valid_until: Annotated[datetime, Meta(tz=True, description="When it stops to count by itself.")] | None
    fields: Annotated[dict[str, str | int | bool], Meta(description="The facts, as the record type names them.")]
    disputed: Annotated[bool, Meta(description="Contested by the subject: it doesn't count meanwhile.")]
    suppressed: Annotated[bool, Meta(description="Kept off the record by the subject.")]
    suppressible: Annotated[bool, Meta(description="Whether the subject may keep it off the record.")]
    shown: Annotated[tuple["Shown", ...], Meta(description="The facts in words.")]


class Shown(Struct, frozen=True):
    """One fact in words."""

    name: Annotated[Text, Meta(description="What it is.")]
    value: Annotated[Text, Meta(description="What it says.")]


class MyDispute(Struct, frozen=True, kw_only=True):
    """A record that the subject contests, or contested."""

    id: Annotated[str, Meta(description="The dispute.", examples=["dsp_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    state: Annotated[DisputeState, Meta(description="How it stands.")]
    record_id: Annotated[
        str, Meta(description="The record; it may be gone since.", examples=["rec_01kb0x4m9v5w8q2r7s3t6y1zab"])
    ]
    record_type: Annotated[Named, Meta(description="What it is, by the data list.")]
    source: Annotated[Named, Meta(description="Who supplied it.")]
    statement: Annotated[str, Meta(description="What the subject said.", examples=["漏记了2026年9月。"])] | None
    opened_at: Annotated[datetime, Meta(tz=True, description="When it was contested.")]
    due_at: Annotated[datetime, Meta(tz=True, description="The end of the last working day for an answer.")]
    settled_at: Annotated[datetime, Meta(tz=True, description="When it was settled.")] | None
    settled_by: Annotated[Settler, Meta(description="Who settled it.")] | None
    answer: Annotated[str, Meta(description="What the subject was told.", examples=["已补记。"])] | None

    @property
    def open(self) -> bool:
        return self.state is DisputeState.OPEN

    @property
    def due_within(self) -> datetime:
        """The last minute in time."""
        return due_within(self.due_at)


class Authoriser(StrEnum):
    """Who agreed to what a check was made under."""

    SELF = "self"
    REPRESENTATIVE = "representative"
    """Somebody who acted for the company."""


class ProofState(StrEnum):
    """What came of verifying an entry against the ledger, at the moment of the answer."""

    INCLUDED = "included"
    """It is in the ledger, and can't be changed or removed later without that showing."""
    ERASED = "erased"
    """Its content was erased because the law says so; its place in the ledger stays."""
    FAILED = "failed"
    """It doesn't verify: the operator has to be told."""


class Proof(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The place of an entry in the ledger, verified for this very answer.

    It shows that the entry can't be changed or removed later. It doesn't show that nothing else exists.
    """

    state: Annotated[ProofState, Meta(description="Whether it verifies.")]
    leaf_index: Annotated[int | None, Meta(description="Its place in the log, from 0.", examples=[4])] = None
    tree_size: Annotated[int | None, Meta(description="The log's length at the checkpoint.", examples=[7])] = None
    root_hash: Annotated[
        str | None,
        Meta(
            description="The root that the checkpoint signs, base64url.",
            examples=["3a98DXCUS3CHGbFTThbC_qJTT1DD5wx8HhAjgzRK4gE"],
        ),
    ] = None
    log_id: Annotated[str | None, Meta(description="The log.", examples=["log_01kb0x4m9v5w8q2r7s3t6y1zab"])] = None
    checkpoint_at: Annotated[
        datetime | None,
        Meta(description="When the checkpoint was signed.", examples=["2026-11-02T08:00:00Z"]),
    ] = None

    @property
    def included(self) -> bool:
        return self.state is ProofState.INCLUDED


class ToldFact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that a partner was told beside the overall outcome: a criterion's outcome, or a value."""

    criterion: Annotated[str, Meta(description="The criterion.", examples=["tax-rating"])]
    name: Annotated[Text, Meta(description="What was told, in words.")]
    outcome: Annotated[str | None, Meta(description="The criterion's outcome.", examples=["met"])] = None
    field: Annotated[str | None, Meta(description="The field that a value is of.", examples=["grade"])] = None
    value: Annotated[str | int | bool | None, Meta(description="The value or band.", examples=["A"])] = None
    shown: Annotated[Text | None, Meta(description="The value in words.")] = None


class Access(Struct, frozen=True, kw_only=True):
    """One look at a subject's records: when, by whom, for which case, by whose consent, and what was told."""

    id: Annotated[str, Meta(description="The check.", examples=["chk_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    at: Annotated[datetime, Meta(tz=True, description="When.")]
    partner: PartnerAsked
    sub_party: SubPartyAsked | None
    scenario: Annotated[Named, Meta(description="The scenario that was checked.")]
    purpose: Annotated[Text, Meta(description="What for, as the subject agreed.")]
    consent_id: Annotated[str, Meta(description="The consent.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    authorised_by: Annotated[Authoriser, Meta(description="Who agreed.")]
    representative: Representative | None
    authorised_at: Annotated[datetime, Meta(tz=True, description="When they agreed.")] | None
    reference: Annotated[str, Meta(description="The partner's case number, as given.", examples=["LOAN-2026-000123"])]
    outcome: Annotated[str, Meta(description="The overall outcome, if it was answered.", examples=["met"])] | None
    refusal: Annotated[str, Meta(description="Why it was refused, if it was.", examples=["consent_paused"])] | None
    facts: Annotated[tuple[ToldFact, ...], Meta(description="All that was told beside the overall outcome.")]
    feedback: Annotated[Feedback, Meta(description="What the partner said came of it.")] | None
    proof: Annotated[Proof, Meta(description="Its place in the ledger.")]


class AccessFile(Struct, frozen=True, kw_only=True):
    """An entry to keep: with what verifies it elsewhere, without the platform."""

    entry: Access
    answer: Annotated[Answer | None, Meta(description="The answer, whose salts open the receipt's commitments.")]
    receipt: (
        Annotated[
            str,
            Meta(
                description="Verifies offline with the keys at `/v1/ledger/jwks`; none once it was erased.",
                examples=["eyJraW5kIjoiY2hlY2siLCJp….~eyJsZWFmX2luZGV4Ijo….~eyJhbGciOiJFUzI1NiIs…"],
            ),
        ]
        | None
    )


class Preferences(Struct, frozen=True, forbid_unknown_fields=True):
    """What a subject wants of the portal."""

    notice_after_use: Annotated[
        bool, Meta(description="Tell me after each check about me: here, and by e-mail where an address is known.")
    ]


class MyAsk(Struct, frozen=True, kw_only=True):
    """Something that the subject is asked."""

    consent_id: Annotated[str, Meta(description="The consent.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    partner: Annotated[Named, Meta(description="Who asks.")]
    sub_party: Annotated[Named, Meta(description="The partner's branch or merchant that asks, if one does.")] | None
    scenario: Annotated[Named, Meta(description="What for.")]
    extra_days: Annotated[
        int | None,
        Meta(description="The days that are asked for, when it is more time for a consent.", examples=[None]),
    ]
    until: Annotated[datetime, Meta(tz=True, description="When it lapses unless it is answered.")]
    reminded_at: Annotated[datetime, Meta(tz=True, description="When the partner last reminded of it.")] | None
    page: Annotated[
        str, Meta(description="Where it is answered.", examples=["/consents/cns_01kb0x4m9v5w8q2r7s3t6y1zab"])
    ]


class Inbox(Struct, frozen=True, kw_only=True):
    """What waits for the subject."""

    asks: Annotated[tuple[MyAsk, ...], Meta(description="What they are asked; what lapses first comes first.")]
    new_uses: Annotated[
        int, Meta(ge=0, description="Checks since they last looked, when they want to be told of them.", examples=[2])
    ]


class MyWithholding(Struct, frozen=True):
    """A record type that the subject keeps from a scenario."""

    scenario: Named
    record_type: Named


class MySuppression(Struct, frozen=True):
    """A fact that the subject keeps off the record, whether or not it is there now.

    Which one it is, is kept as a keyed hash alone.
    """

    record_type: Named
    since: Annotated[datetime, Meta(tz=True, description="Since when.")]


class Export(Struct, frozen=True, kw_only=True):
    """Everything that is kept about a subject (PIPL 45)."""

    made_at: Annotated[datetime, Meta(tz=True, description="When this was put together.")]
    kind: Annotated[SubjectKind, Meta(description="A person or an organisation.")]
    identifier: Annotated[
        str, Meta(description="The subject's own identifier: it is kept encrypted.", examples=["91990001MA0000001R"])
    ]
    email: (
        Annotated[str, Meta(description="The address that a sign-in vouched for.", examples=["person@mail.example"])]
        | None
    )
    preferences: Preferences
    consents: Annotated[tuple[MyConsent, ...], Meta(description="Every consent, newest first.")]
    records: Annotated[tuple[MyRecord, ...], Meta(description="Every record, with its source.")]
    disputes: Annotated[tuple[MyDispute, ...], Meta(description="Everything that was contested.")]
    suppressions: Annotated[tuple[MySuppression, ...], Meta(description="What is kept off the record.")]
    withholdings: Annotated[tuple[MyWithholding, ...], Meta(description="What is kept from which scenario.")]
    access_log: Annotated[tuple[AccessFile, ...], Meta(description="Who looked, each entry with its receipt.")]
    ledger_keys: Annotated[
        tuple[dict[str, Any], ...],
        Meta(
            description="The public keys (JWK) that verify the receipts.",
            examples=[[{"kty": "EC", "crv": "P-256", "x": "f83O…", "y": "x_FE…", "kid": "oKIy…"}]],
        ),
    ]


def named(sub_party: SubParty | None) -> Named | None:
    """The branch or merchant that a partner acts by."""
    return None if sub_party is None else Named(sub_party.id, sub_party.name)


def my_consent(
    consent: Consent,
    partner: Partner,
    sub_party: SubParty | None,
    representative: str | None,
    scenario: Scenario,
    last_used_at: datetime | None,
    at: datetime,
) -> MyConsent:
    """The consent as its subject sees it at the moment ``at``."""
    ended = end(consent, at)
    return MyConsent(
        id=consent.id,
        state=state(consent, at),
        partner=Named(partner.id, partner.name),
        sub_party=named(sub_party),
        scenario=Named(scenario.id, scenario.name),
        scenario_version=consent.scenario_version,
        units=consent.units,
        form=consent.form,
        uses=consent.uses,
        use_count=consent.use_count,
        last_used_at=last_used_at,
        notice_digest=consent.notice_digest,
        created_at=consent.created_at,
        authorised_at=consent.authorised_at,
        representative=representative,
        expires_at=consent.expires_at,
        ended=None if ended is None else MyEnd(ended.at, ended.by, ended.reason),
    )


def my_record(record: StoredRecord, record_type: RecordType, source: Source) -> MyRecord:
    """The record as its subject sees it."""
    return MyRecord(
        id=record.id,
        record_type=Named(record_type.code, record_type.name),
        source=Named(source.id, source.name),
        source_ref=record.source_ref,
        region=record.region,
        observed_at=record.observed_at,
        valid_until=record.valid_until,
        fields=record.fields,
        disputed=record.disputed_at is not None,
        suppressed=record.suppressed_at is not None,
        suppressible=record_type.suppressible,
        shown=tuple(
            Shown(field.name, shown(record.fields[name], field))
            for name, field in record_type.fields.items()
            if name in record.fields
        ),
    )


def my_dispute(dispute: Dispute, record_type: RecordType, source: Source) -> MyDispute:
    """The dispute as its subject sees it."""
    return MyDispute(
        id=dispute.id,
        state=dispute.state,
        record_id=dispute.record_id,
        record_type=Named(record_type.code, record_type.name),
        source=Named(source.id, source.name),
        statement=dispute.statement,
        opened_at=dispute.opened_at,
        due_at=dispute.due_at,
        settled_at=dispute.settled_at,
        settled_by=dispute.settled_by,
        answer=dispute.answer,
    )


DISPUTES: Final[Mapping[DisputeState, Text]] = {
    DisputeState.OPEN: Text("核查中", "Being looked into"),
    DisputeState.UPHELD: Text("经核查，记录无误", "Looked into: the record stands"),
    DisputeState.CORRECTED: Text("已更正", "Put right"),
    DisputeState.WITHDRAWN: Text("信息提供单位已撤回记录", "The source took the record back"),
    DisputeState.TAKEN_BACK: Text("您已撤销异议", "You contest it no more"),
}
OUTCOMES: Final[Mapping[str, Text]] = {
    "met": Text("满足公布的条件", "The published criteria are met"),
    "not_evidenced": Text("未见佐证", "Not evidenced"),
}
