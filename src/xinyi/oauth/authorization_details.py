"""``authorization_details`` (RFC 9396) of our one type: which scenario, and of whom."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..consents.model import Consent
from ..kernel.errors import XinyiError
from ..subjects.model import SubjectKind
from ..web.body import decode_json
from .errors import ErrorCode, OAuthError

TYPE: Final = "credit_scenario_check"


class NamedSubject(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The subject that the partner already knows: nobody else can then consent."""

    identifier: Annotated[
        str, Meta(min_length=1, max_length=64, description="A USCC (GB 32100) or resident id (GB 11643).")
    ]
    kind: Annotated[SubjectKind, Meta(description="Needed only when the identifier fits both kinds.")] | None = None

    def __repr__(self) -> str:
        return "NamedSubject()"


class RequestedDetail(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One check that the partner asks the subject to consent to."""

    type: Annotated[Literal["credit_scenario_check"], Meta(description="The one type there is.")]
    scenario: Annotated[str, Meta(min_length=1, max_length=64, description="The scenario's id.")]
    version: Annotated[int, Meta(ge=1, description="A published version; the latest unless given.")] | None = None
    subject: NamedSubject | None = None
    sub_party: (
        Annotated[str, Meta(min_length=1, max_length=64, description="Your branch or merchant that asks: its id.")]
        | None
    ) = None


class GrantedDetail(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the subject consented to, as the token and its response carry it."""

    type: Annotated[Literal["credit_scenario_check"], Meta(description="The one type there is.")]
    scenario: Annotated[str, Meta(description="The scenario's id.", examples=["bike-deposit"])]
    version: Annotated[int, Meta(description="The version that was consented to.", examples=[1])]
    consent_id: Annotated[str, Meta(description="Name it in checks.", examples=["cns_01kb0x4m9v5w8q2r7s3t6y1zab"])]
    sub_party: (
        Annotated[
            str,
            Meta(description="The branch or merchant that asked.", examples=["sbp_01kb0x4m9v5w8q2r7s3t6y1zab"]),
        ]
        | UnsetType
    ) = UNSET


def granted(consent: Consent) -> GrantedDetail:
    """The detail of a consent that was given."""
    return GrantedDetail(TYPE, consent.scenario_id, consent.scenario_version, consent.id, consent.sub_party_id or UNSET)


def json_schema(uri: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what can be asked for, made of what reads it. ``uri``: where it is found."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": uri, "title": TYPE}
    return {**head, **msgspec.json.schema(RequestedDetail)}


def parse_details(text: str) -> RequestedDetail:
    """The only member of the parameter. Raises :class:`OAuthError` (invalid_authorization_details)."""
    try:
        details: list[RequestedDetail] = decode_json(text.encode(), list[RequestedDetail])
    except XinyiError as error:
        where = f" at {error.source}" if error.source else ""
        raise refuse(f"{error.detail}{where}") from None
    if len(details) != 1:
        raise refuse("exactly one detail is needed: a consent is for one scenario")
    return details[0]


def refuse(description: str) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_AUTHORIZATION_DETAILS, description)
