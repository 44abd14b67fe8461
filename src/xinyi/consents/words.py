"""How a consent stands and why it ended, as its subject reads it."""

from collections.abc import Mapping
from typing import Final

from ..kernel.text import Text
from .model import ConsentState, EndReason

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
    EndReason.SUPERSEDED: Text("已由您后来的同意取代", "You agreed anew, which took its place"),
    EndReason.USED_UP: Text("一次性授权已用于核验", "It was for one check, which was made"),
    EndReason.UNANSWERED: Text("在时限内没有答复", "It wasn't answered in time"),
    EndReason.TERM_REACHED: Text("授权期限已到", "Its time was over"),
}
