"""What commands say: in Chinese first and in English second, in one form everywhere.

Ids, codes and the words of closed lists (a status, a state, an outcome) stand as the API has them.
"""

from typing import Final

import click

from ..kernel.text import Text

HEADINGS: Final = {
    "about": "对象",
    "accepted": "新增",
    "account": "账号",
    "act": "操作",
    "amount": "金额",
    "answered": "已答复",
    "attempts": "尝试次数",
    "authoriser": "授权人",
    "by": "操作者",
    "cases": "用例",
    "change": "变更",
    "client": "接入程序",
    "consent": "授权",
    "contact": "联系方式",
    "created at": "登记时间",
    "criteria": "条件",
    "dead": "未送达",
    "due": "期限",
    "event": "事件",
    "failure": "原因",
    "id": "编号",
    "key": "密钥",
    "kid": "密钥标识",
    "kind": "类别",
    "name": "名称",
    "opened": "提出时间",
    "owner": "所属机构",
    "partner": "接入机构",
    "pending": "待发送",
    "period": "周期",
    "price": "单价",
    "purpose": "用途",
    "reason": "理由",
    "record type": "数据项",
    "record types": "数据项",
    "reference": "业务编号",
    "refusal": "拒绝原因",
    "refused": "已拒绝",
    "rejected": "已拒收",
    "result": "结果",
    "scenario": "应用场景",
    "scenarios": "应用场景",
    "scopes": "权限范围",
    "signs from": "开始签名",
    "since": "起始日",
    "source": "信息提供单位",
    "state": "状态",
    "statement": "异议说明",
    "status": "状态",
    "superseded": "已过时",
    "time": "时间",
    "type": "类型",
    "unchanged": "未变",
    "units": "可披露项",
    "updated": "已更新",
    "url": "地址",
    "use": "用处",
    "version": "版本",
    "why": "停用原因",
    "works from": "生效时间",
}
"""The headings that tables have, by their English: one word is called the same in every table."""


def both(zh: str, en: str) -> str:
    """One line in both languages; what is the same in both stands once."""
    return zh if zh == en else f"{zh} / {en}"


def named(text: Text) -> str:
    """A name in both languages."""
    return both(text.zh, text.en)


def heading(name: str) -> str:
    """The heading of a column. Raises ``KeyError`` for one that isn't listed here."""
    return both(HEADINGS[name], name)


def say(zh: str, en: str, *, of: str = "", err: bool = False) -> None:
    """Prints a line in both languages, behind the id ``of`` what it tells; to standard error what is no result."""
    click.echo(f"{of}: {both(zh, en)}" if of else both(zh, en), err=err)
