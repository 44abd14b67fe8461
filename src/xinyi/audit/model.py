"""An act of the operator. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from ..kernel.text import Text


class Act(StrEnum):
    """What an operator does to others: a closed list."""

    PARTNER_ADDED = "partner.added"
    PARTNER_SUSPENDED = "partner.suspended"
    PARTNER_UNSUSPENDED = "partner.unsuspended"
    SUB_PARTY_ADDED = "sub_party.added"
    SUB_PARTY_CLOSED = "sub_party.closed"
    CLIENT_ADDED = "client.added"
    CLIENT_DISABLED = "client.disabled"
    CLIENT_KEY_ADDED = "client.key_added"
    CLIENT_KEY_REMOVED = "client.key_removed"
    SOURCE_ADDED = "source.added"
    SOURCE_DISABLED = "source.disabled"
    SOURCE_ENABLED = "source.enabled"
    PRICE_SET = "price.set"
    DISPUTE_ANSWERED = "dispute.answered"
    EVENTS_REDELIVERED = "events.redelivered"
    TOKEN_KEY_REVOKED = "token_key.revoked"  # noqa: S105 (an act's name)


NAMES: Final = {
    Act.PARTNER_ADDED: Text("登记接入机构", "Partner registered"),
    Act.PARTNER_SUSPENDED: Text("暂停接入机构", "Partner suspended"),
    Act.PARTNER_UNSUSPENDED: Text("恢复接入机构", "Partner unsuspended"),
    Act.SUB_PARTY_ADDED: Text("登记接入机构的分支或商户", "Sub-party registered"),
    Act.SUB_PARTY_CLOSED: Text("关闭接入机构的分支或商户", "Sub-party closed"),
    Act.CLIENT_ADDED: Text("登记接入程序", "Client registered"),
    Act.CLIENT_DISABLED: Text("停用接入程序", "Client disabled"),
    Act.CLIENT_KEY_ADDED: Text("登记接入程序的密钥", "Client key added"),
    Act.CLIENT_KEY_REMOVED: Text("移除接入程序的密钥", "Client key removed"),
    Act.SOURCE_ADDED: Text("登记信息提供单位", "Source registered"),
    Act.SOURCE_DISABLED: Text("暂停接收信息提供单位", "Source disabled"),
    Act.SOURCE_ENABLED: Text("恢复接收信息提供单位", "Source enabled"),
    Act.PRICE_SET: Text("设定成本补偿价格", "Price set"),
    Act.DISPUTE_ANSWERED: Text("答复异议", "Dispute answered"),
    Act.EVENTS_REDELIVERED: Text("重新发送事件", "Events sent again"),
    Act.TOKEN_KEY_REVOKED: Text("吊销令牌密钥", "Token key revoked"),
}
assert set(NAMES) == set(Act), "each act has its name"


class Entry(Struct, frozen=True):
    """One act: ``about`` is the id of what it was done to, ``by`` the account that ran the command."""

    id: str
    at: datetime
    by: str
    act: Act
    about: str
    reason: str
