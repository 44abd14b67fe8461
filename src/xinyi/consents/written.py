"""The full text of a written consent, made from its notice alone. Pure."""

from collections.abc import Iterator
from typing import Final

from ..kernel.text import Language, Text, one_line
from .notice import Fact, Group, Notice

_MAX_NAME: Final = 100
_MAX_CONTACT: Final = 200


def full_text(notice: Notice) -> str:
    """What the subject agrees to, as plain text in the language of ``notice``, whole."""
    return "\n".join(_lines(notice)) + "\n"


def _lines(notice: Notice) -> Iterator[str]:
    def say(zh: str, en: str) -> str:
        return Text(zh, en).of(notice.language)

    partner = one_line(notice.partner, _MAX_NAME)
    if notice.sub_party is not None:
        acting = one_line(notice.sub_party, _MAX_NAME)
        partner = say(f"{partner}（经办：{acting}）", f"{partner} (acting: {acting})")
    partner_contact = one_line(notice.partner_contact, _MAX_CONTACT)
    yield say("公共信用信息核验授权书", "Written consent to the checking of public credit information")
    yield ""
    yield say("授权人：登录后作出本决定的信用主体", "Given by: the subject who signed in and decides here")
    yield say(f"接收方：{partner}（联系方式：{partner_contact}）", f"To: {partner} (contact: {partner_contact})")
    yield say(
        f"平台运营机构：{notice.operator}（联系方式：{notice.contact}）",
        f"Platform run by: {notice.operator} (contact: {notice.contact})",
    )
    yield say(
        f"应用场景：{notice.scenario}（{notice.scenario_id}，第 {notice.scenario_version} 版）",
        f"Use: {notice.scenario} ({notice.scenario_id}, version {notice.scenario_version})",
    )
    sections: list[tuple[str, list[str]]] = [
        (
            say("同意的内容", "What is agreed to"),
            [
                say(
                    f"平台可应接收方的请求，核验下列第二项所列事项是否满足公布的条件，并将第三项所列结果提供给接收方{partner}。",
                    f"At the recipient's request the platform may check whether the facts under 2 meet the published "
                    f"criteria, and may give what stands under 3 to {partner}.",
                ),
                say("用途：", "Purpose: ") + notice.purpose,
                say("依据：", "Basis: ") + notice.legal_basis,
                say("如满足，可享：", "If met, one may get: ") + notice.incentive,
                notice.scope,
            ],
        ),
        (say("核验的事项", "The facts that are looked at"), list(_facts(notice.facts, notice.language))),
        (say("接收方会知道", "What the recipient learns"), list(notice.revealed)),
        (say("接收方不会知道", "What the recipient doesn't learn"), list(notice.hidden)),
        (
            say("期限、次数与保存", "Time, number and retention"),
            [
                say(
                    f"自同意起 {notice.duration}内有效，到期自动失效。",
                    f"For {notice.duration}; then it ends by itself.",
                ),
                say("次数：", "Checks: ") + notice.uses,
                notice.retention,
            ],
        ),
        (say("不同意也可以", "One may say no"), [notice.fallback]),
        (say("撤回", "Withdrawal"), [notice.withdrawal]),
        (say("授权人的权利", "The subject's rights"), list(notice.rights)),
        (
            say("关于本文本", "About this text"),
            [
                say(
                    "同意后，可随时下载带平台签名的副本。平台的签名证明文本自同意之时起未被改动，它不是授权人的电子签名。",
                    "Once it is agreed to, a copy signed by the platform can be downloaded at any time. The platform's "
                    "signature shows that the text hasn't changed since; it isn't the subject's electronic signature.",
                )
            ],
        ),
    ]
    for number, (heading, lines) in enumerate(sections, 1):
        yield ""
        yield say(f"{_NUMERALS[number - 1]}、{heading}", f"{number}. {heading}")
        yield from (f"  {line}" for line in lines)


def _facts(group: Group, language: Language, indent: str = "") -> Iterator[str]:
    yield indent + group.heading + ("：" if language is Language.ZH else ":")
    if group.necessity:
        yield indent + Text("为什么需要：", "Why they are needed: ").of(language) + group.necessity
    for item in group.items:
        if isinstance(item, Group):
            yield from _facts(item, language, indent + "  ")
            continue
        yield from (f"{indent}{line}" for line in _fact(item, language, told_why=group.necessity is not None))


def _fact(fact: Fact, language: Language, *, told_why: bool) -> Iterator[str]:
    def say(zh: str, en: str) -> str:
        return Text(zh, en).of(language)

    yield say(
        f"- {fact.name}：{fact.test}。来源：{fact.source}。{fact.telling}。",
        f"- {fact.name}: {fact.test}. From: {fact.source}. {fact.telling}.",
    )
    if not told_why:
        yield say("  为什么需要：", "  Why it is needed: ") + fact.necessity
    if fact.telling_reason:
        yield say("  为什么告知：", "  Why it is told: ") + fact.telling_reason


_NUMERALS: Final = "一二三四五六七八九"
