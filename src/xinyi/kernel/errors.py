"""Every error that a caller can meet: one stable code, one HTTP status, one sentence in each language.

The list is closed and published at ``/v1/metadata/error-codes``. Rooms raise :class:`XinyiError` with a code from it;
``web.problem`` turns that into RFC 9457 ``application/problem+json``.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from .text import Text


class Code(StrEnum):
    """The stable error codes, in the order of their status."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_TOKEN = "invalid_token"  # noqa: S105 (an error code)
    INVALID_DPOP_PROOF = "invalid_dpop_proof"
    USE_DPOP_NONCE = "use_dpop_nonce"
    SESSION_REQUIRED = "session_required"
    CSRF = "csrf"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    NOT_ENTITLED = "not_entitled"
    PARTNER_SUSPENDED = "partner_suspended"
    SCENARIO_MISMATCH = "scenario_mismatch"
    CONSENT_PAUSED = "consent_paused"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CONSENT_EXPIRED = "consent_expired"
    CONSENT_CONSUMED = "consent_consumed"
    CONSENT_OUTDATED = "consent_outdated"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    WRONG_STATE = "wrong_state"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID = "invalid"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    RATE_LIMITED = "rate_limited"
    COOLING_DOWN = "cooling_down"
    HEADERS_TOO_LARGE = "headers_too_large"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"


class Definition(Struct, frozen=True):
    """What is published about one code."""

    code: Code
    status: int
    title: Text


def _define(code: Code, status: int, zh: str, en: str) -> tuple[Code, Definition]:
    return code, Definition(code, status, Text(zh, en))


DEFINITIONS: Final[dict[Code, Definition]] = dict(
    (
        _define(Code.MALFORMED, 400, "请求无法解析", "The request can't be parsed"),
        _define(Code.UNAUTHENTICATED, 401, "需要访问令牌", "An access token is required"),
        _define(Code.INVALID_TOKEN, 401, "访问令牌无效", "The access token isn't valid"),
        _define(Code.INVALID_DPOP_PROOF, 401, "DPoP 证明无效", "The DPoP proof isn't valid"),
        _define(Code.USE_DPOP_NONCE, 401, "DPoP 证明需带服务器随机数", "The DPoP proof must carry the server's nonce"),
        _define(Code.SESSION_REQUIRED, 401, "请先登录", "Sign in first"),
        _define(Code.CSRF, 403, "页面已过期，请刷新后重试", "The form is out of date: reload the page"),
        _define(Code.INSUFFICIENT_SCOPE, 403, "令牌的权限范围不足", "The token's scope doesn't cover this"),
        _define(Code.NOT_ENTITLED, 403, "该接入方未获准使用此应用场景", "This client isn't entitled to the scenario"),
        _define(Code.PARTNER_SUSPENDED, 403, "接入机构已暂停", "The partner is suspended"),
        _define(Code.SCENARIO_MISMATCH, 403, "授权不适用于该应用场景", "The consent is for another scenario"),
        _define(Code.CONSENT_PAUSED, 403, "授权已被信用主体暂停", "The subject has paused the consent"),
        _define(Code.CONSENT_WITHDRAWN, 403, "授权已撤回", "The consent was withdrawn"),
        _define(Code.CONSENT_EXPIRED, 403, "授权已到期", "The consent has expired"),
        _define(Code.CONSENT_CONSUMED, 403, "一次性授权已使用", "The once-only consent has been used"),
        _define(Code.CONSENT_OUTDATED, 403, "应用场景已更新，需重新授权", "The scenario has changed: ask again"),
        _define(Code.NOT_FOUND, 404, "不存在", "Not found"),
        _define(Code.METHOD_NOT_ALLOWED, 405, "不支持该请求方法", "The method isn't allowed here"),
        _define(Code.WRONG_STATE, 409, "当前状态不允许此操作", "The present state doesn't allow this"),
        _define(Code.BODY_TOO_LARGE, 413, "请求内容过大", "The body is too large"),
        _define(Code.UNSUPPORTED_MEDIA_TYPE, 415, "不支持该内容类型", "The media type isn't supported"),
        _define(Code.INVALID, 422, "请求中有无效的成员", "A member of the request isn't valid"),
        _define(
            Code.IDEMPOTENCY_KEY_REUSED, 422, "幂等键已用于不同的请求", "The idempotency key belongs to another request"
        ),
        _define(Code.RATE_LIMITED, 429, "请求过于频繁", "Too many requests"),
        _define(Code.COOLING_DOWN, 429, "间隔期内不得再次询问", "It is too early to ask the subject again"),
        _define(Code.HEADERS_TOO_LARGE, 431, "请求头过大", "The headers are too large"),
        _define(Code.INTERNAL, 500, "内部错误", "Internal error"),
        _define(Code.UNAVAILABLE, 503, "服务暂不可用", "The service is unavailable for now"),
    )
)
assert set(DEFINITIONS) == set(Code), "each code has its definition"


class ItemError(Struct, frozen=True, omit_defaults=True):
    """Why one item of an upload can't be taken. Never holds a value."""

    number: Annotated[int, Meta(ge=1, description="The item, from 1.", examples=[16])]
    code: Annotated[str, Meta(description="What is wrong with it.", examples=["required"])]
    line: Annotated[int, Meta(ge=1, description="The line that it stands in, from 1.", examples=[17])] | UnsetType = (
        UNSET
    )
    member: Annotated[str, Meta(description="The member to blame, if one is.", examples=["reference"])] | UnsetType = (
        UNSET
    )


class XinyiError(Exception):
    """A refusal with a stable code.

    ``detail`` says what was wrong with this request, never a record's value or an identifier; ``source`` points at the
    bad member (a JSON Pointer for bodies, a parameter's or header's name otherwise); ``retry_after`` is in seconds;
    ``instance`` names what the refusal left behind, when it left something that can be asked for; ``errors`` are the
    items of an upload that are to blame.
    """

    def __init__(
        self,
        code: Code,
        detail: str | None = None,
        *,
        source: str | None = None,
        retry_after: int | None = None,
        instance: str | None = None,
        errors: Sequence[ItemError] = (),
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.source = source
        self.retry_after = retry_after
        self.instance = instance
        self.errors = tuple(errors)

    @property
    def definition(self) -> Definition:
        return DEFINITIONS[self.code]
