"""Consents and records as their subject sees them. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from ..catalogue.model import RecordType
from ..consents.model import Consent, ConsentState, EndReason, Party, end, state
from ..kernel.text import Text
from ..partners.model import Partner
from ..records.model import StoredRecord
from ..scenarios.model import ConsentForm, Scenario, Uses

Id = Annotated[str, Meta(min_length=1, max_length=64)]


class Named(Struct, frozen=True):
    """Something with an id and a name."""

    id: Annotated[str, Meta(description="Its id.", examples=["bike-deposit"])]
    name: Annotated[Text, Meta(description="Its name in Chinese and English.")]


class MyEnd(Struct, frozen=True):
    """How a consent ended."""

    at: Annotated[datetime, Meta(tz=True, description="When.")]
    by: Annotated[Party, Meta(description="Who ended it.")]
    reason: Annotated[EndReason, Meta(description="Why.")]


class MyConsent(Struct, frozen=True, kw_only=True):
    """One of the subject's consents."""

    id: Annotated[str, Meta(description="The consent.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    state: Annotated[ConsentState, Meta(description="Its state at this moment.")]
    partner: Annotated[Named, Meta(description="Who asked.")]
    scenario: Annotated[Named, Meta(description="What for.")]
    scenario_version: Annotated[int, Meta(ge=1, description="The version that was agreed to.")]
    units: Annotated[tuple[str, ...], Meta(description="The criteria and fields that an answer may tell.")]
    form: Annotated[ConsentForm, Meta(description="Separate or written consent.")]
    uses: Annotated[Uses, Meta(description="Whether it carries one check or several.")]
    use_count: Annotated[int, Meta(ge=0, description="The checks made under it.")]
    notice_digest: Annotated[str, Meta(description="The digest of the notice that was shown.")] | None
    created_at: Annotated[datetime, Meta(tz=True, description="When it was asked for.")]
    authorised_at: Annotated[datetime, Meta(tz=True, description="When the subject agreed.")] | None
    expires_at: Annotated[datetime, Meta(tz=True, description="When it ends by itself.")] | None
    ended: MyEnd | None

    @property
    def open(self) -> bool:
        return self.ended is None


class MyRecord(Struct, frozen=True, kw_only=True):
    """One of the subject's records, with everything that is kept of it."""

    id: Annotated[str, Meta(description="The record.", examples=["rec_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    record_type: Annotated[Named, Meta(description="What it is, by the data list.")]
    source: Annotated[str, Meta(description="Who supplied it.", examples=["tax-bureau"])]
    source_ref: Annotated[str, Meta(description="The source's own number for it.")]
    region: Annotated[str, Meta(description="The region, by GB/T 2260.", examples=["990000"])]
    observed_at: Annotated[datetime, Meta(tz=True, description="When the source observed it.")]
    valid_until: Annotated[datetime, Meta(tz=True, description="When it stops to count by itself.")] | None
    fields: Annotated[dict[str, str | int | bool], Meta(description="The facts, as the record type names them.")]
    disputed: Annotated[bool, Meta(description="Contested by the subject: it doesn't count meanwhile.")]
    suppressed: Annotated[bool, Meta(description="Kept off the record by the subject.")]
    suppressible: Annotated[bool, Meta(description="Whether the subject may keep it off the record.")]


def my_consent(consent: Consent, partner: Partner, scenario: Scenario, at: datetime) -> MyConsent:
    """The consent as its subject sees it at the moment ``at``."""
    ended = end(consent, at)
    return MyConsent(
        id=consent.id,
        state=state(consent, at),
        partner=Named(partner.id, partner.name),
        scenario=Named(scenario.id, scenario.name),
        scenario_version=consent.scenario_version,
        units=consent.units,
        form=consent.form,
        uses=consent.uses,
        use_count=consent.use_count,
        notice_digest=consent.notice_digest,
        created_at=consent.created_at,
        authorised_at=consent.authorised_at,
        expires_at=consent.expires_at,
        ended=None if ended is None else MyEnd(ended.at, ended.by, ended.reason),
    )


def my_record(record: StoredRecord, record_type: RecordType) -> MyRecord:
    """The record as its subject sees it."""
    return MyRecord(
        id=record.id,
        record_type=Named(record_type.code, record_type.name),
        source=record.source_id,
        source_ref=record.source_ref,
        region=record.region,
        observed_at=record.observed_at,
        valid_until=record.valid_until,
        fields=record.fields,
        disputed=record.disputed_at is not None,
        suppressed=record.suppressed_at is not None,
        suppressible=record_type.suppressible,
    )


STATES: Final[Mapping[ConsentState, Text]] = {
    ConsentState.AWAITING_AUTHORISATION: Text("等待您的决定", "Waiting for you"),
    ConsentState.AUTHORISED: Text("有效", "In force"),
    ConsentState.PAUSED: Text("已暂停", "Paused"),
    ConsentState.WITHDRAWN: Text("已撤回", "Withdrawn"),
    ConsentState.EXPIRED: Text("已到期", "Expired"),
    ConsentState.CONSUMED: Text("已使用完", "Used up"),
    ConsentState.REJECTED: Text("已拒绝", "Refused"),
}
REASONS: Final[Mapping[EndReason, Text]] = {
    EndReason.REFUSED: Text("您没有同意", "You refused it"),
    EndReason.WITHDRAWN_BY_SUBJECT: Text("您撤回了授权", "You withdrew it"),
    EndReason.GIVEN_UP_BY_PARTNER: Text("对方放弃了授权", "The partner gave it up"),
    EndReason.ENDED_BY_OPERATOR: Text("信用中心终止了授权", "The operator ended it"),
    EndReason.SUPERSEDED: Text("您作出了新的同意，由它取代", "You agreed anew, which took its place"),
    EndReason.USED_UP: Text("一次性授权已用于核验", "It was for one check, which was made"),
    EndReason.UNANSWERED: Text("在时限内没有答复", "It wasn't answered in time"),
    EndReason.TERM_REACHED: Text("授权期限已到", "Its time was over"),
}
