"""The main job, told step by step as it happens: the partner's side and the person's."""

import json
import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from rich.cells import cell_len
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table

from demo.person import Page, Person
from demo.sandbox import Member, Sandbox
from demo.surroundings import DemoFailed, console, told_in_one_sentence
from xinyi.sandbox.personas import personas
from xinyi_sdk import (
    Answer,
    Consent,
    ConsentWithdrawn,
    Event,
    EventType,
    Scenario,
    ScenarioMismatch,
    Xinyi,
    verify_receipt,
)
from xinyi_sdk.errors import APIError

LINE = 58
"""Cells of a panel's line: what is longer in both languages takes a line in each."""
PATIENCE = 15
"""Seconds. Events are committed with what they tell, and ready for partners a moment later."""
FEW = 3
"""Facts that are named before the rest are counted."""


@dataclass
class Evidence:
    """What the partners keep."""

    answers: list[tuple[str, Answer]] = field(default_factory=list)
    refused: int = 0
    jwks: dict[str, Any] = field(default_factory=dict)


def main() -> None:
    """Runs the demo in a temporary folder."""
    with told_in_one_sentence("demo"), TemporaryDirectory(prefix="xinyi-demo-") as folder:
        kept = Evidence()
        used: Counter[str] = Counter()
        sandbox = Sandbox(Path(folder), lambda words: used.update([_command(words)]), quiet=True)
        chapter("筹备", "The operator sets the platform up, by command")
        sandbox.fill()
        bikes = sandbox.add_member(
            "bikes", "示例单车", "Sample Bikes", "bike-share", "https://bikes.example/back", ("bike-deposit",)
        )
        bank = sandbox.add_member(
            "bank",
            "示例银行",
            "Sample Bank",
            "bank",
            "https://bank.example/back",
            ("microloan-prescreen", "trade-finance"),
        )
        with sandbox.serving("--port", "0") as url:
            console.print("  [dim]$[/dim] " + "[dim] · [/dim]".join(_times(used)))
            tell(url, bikes, bank, kept)
        verify_offline(sandbox, kept)
        console.print()
        console.print(
            f"demo: {len(kept.answers)} checks answered, {kept.refused} refused, "
            f"{len(kept.answers)} receipts verified offline"
        )


def _command(words: str) -> str:
    """Which command that is: the program and what it is asked to do, without what follows."""
    program, *rest = shlex.split(words)
    if rest[0] == "--config":
        rest = rest[2:]
    return " ".join([Path(program).name, *(word for word in rest[:2] if word.isalpha())])


def _times(used: Mapping[str, int]) -> Iterator[str]:
    return (words if times == 1 else f"{words} ×{times}" for words, times in used.items())


def tell(url: str, bikes: Member, bank: Member, kept: Evidence) -> None:
    """The story itself, against the server at ``url``."""
    with partner(url, bikes) as platform, partner(url, bank) as lender:
        kept.jwks = lender.ledger.jwks()
        news = platform.events.read().cursor

        chapter("免押金", "A person rides a bike without a deposit")
        resident = Person(url)
        ride = consent(platform, bikes, "bike-deposit", resident, "person-a", kept, "RIDE-2026-000123", read_out=True)

        chapter("贷款预筛", "A small company asks a bank for a loan")
        company = Person(url)
        loan = consent(lender, bank, "microloan-prescreen", company, "company-b", kept, "LOAN-2026-000456")

        chapter("谁查询过我", "The person looks who looked, on their own page")
        who_looked(resident, kept.jwks)

        chapter("撤回即时生效", "The person withdraws, and the partner is told")
        resident.visit("/me")
        resident.press("", "", at=f"/me/consents/{ride.id}/withdraw")
        console.print(f"  {_name('person-a')} 按下[bold]撤回授权[/bold]  [dim]presses “withdraw”[/dim]")
        event = hear(platform, EventType.CONSENT_WITHDRAWN, news)
        console.print(
            f"  {bikes.name} 收到通知 [dim]is told:[/dim] [bold]{event.type}[/bold]  "
            f"[dim]{event.data['reason']}, {event.timestamp:%T}Z[/dim]"
        )
        refusal(platform, bikes, "bike-deposit", ride, "RIDE-2026-000124", ConsentWithdrawn, kept)

        chapter("一事一授权", "A consent to one scenario opens no other")
        refusal(lender, bank, "trade-finance", loan, "TRADE-2026-000789", ScenarioMismatch, kept)

        resident.close()
        company.close()


@contextmanager
def partner(url: str, member: Member) -> Iterator[Xinyi]:
    """The partner's program. Its server is on this machine: no proxy stands between."""
    with (
        httpx.Client(trust_env=False) as http,
        Xinyi(base_url=url, client_id=member.client_id, private_key=member.private_key, http_client=http) as client,
    ):
        yield client


def consent(
    client: Xinyi,
    member: Member,
    scenario_id: str,
    person: Person,
    persona: str,
    kept: Evidence,
    reference: str,
    *,
    read_out: bool = False,
) -> Consent:
    """Sends a person to the consent page, lets them read, look ahead and agree; and asks what they agreed to."""
    request = client.consents.start(scenario=scenario_id, redirect_uri=member.redirect_uri)
    person.visit(request.url)
    person.press("persona", persona)
    person.visit(f"{request.url}&lang=en")
    english = person.page
    person.visit(f"{request.url}&lang=zh")
    console.print(f"  {member.name} 请 [bold]{_name(persona)}[/bold] 授权  [dim]asks them[/dim]")
    if read_out:
        console.print(Padding(Panel(_gist(person.page, english), width=LINE + 18, border_style="dim"), (0, 2)))
    person.press("decision", "preview")
    previewed = json.loads(" ".join(person.page.texts("pre", "preview")))
    facts = [f"{name}：{told}" for name, told in person.page.pairs("preview")]
    console.print("  预览：对方会看到什么  [dim]preview: what the partner would see, before deciding[/dim]")
    console.print(
        f"    {_outcome(previewed['outcome'])}  {escape('；'.join(facts) or '不告知任何一项事实 no fact is told')}"
    )
    given = client.consents.finish(person.press("decision", "agree"), request)
    console.print("  同意  [dim]agrees; to refuse was as near[/dim]")
    check(client, member, scenario_id, given, reference, kept, previewed)
    return given


def _name(persona: str) -> str:
    (name,) = (each.name for each in personas() if each.id == persona)
    return f"{name.zh} · {name.en}"


def _outcome(outcome: str) -> str:
    return f"[bold {'green' if outcome == 'met' else 'yellow'}]{outcome}[/]"


def _gist(chinese: Page, english: Page) -> Table:
    """What the page says, word for word: who asks, what for, which facts, how long, or else."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, zh, en in (
        ("谁 who", _heading(chinese), _heading(english)),
        ("用途 purpose", chinese.pair("用途"), english.pair("Purpose")),
        ("事项 facts", _facts(chinese, "、", "等 {} 项"), _facts(english, ", ", " and so on, {} in all")),
        (
            "期限 how long",
            f"{chinese.pair('有效期')}，{chinese.pair('次数')}",
            f"{english.pair('Lasts for')}; checks: {english.pair('Checks').lower()}",
        ),
        ("不同意 or else", " ".join(chinese.texts("p", "fallback")), " ".join(english.texts("p", "fallback"))),
    ):
        if cell_len(zh) + 2 + cell_len(en) <= LINE:
            grid.add_row(label, f"{escape(zh)}  [dim]{escape(en)}[/dim]")
        else:
            grid.add_row(label, escape(zh))
            grid.add_row("", f"[dim]{escape(en)}[/dim]")
    return grid


def _heading(page: Page) -> str:
    return " ".join(page.texts("h1"))


def _facts(page: Page, comma: str, rest: str) -> str:
    """The first few, and how many there are."""
    facts = page.texts("h3", "facts")
    return comma.join(facts[:FEW]) + (rest.format(len(facts)) if len(facts) > FEW else "")


def check(
    client: Xinyi,
    member: Member,
    scenario_id: str,
    given: Consent,
    reference: str,
    kept: Evidence,
    previewed: Mapping[str, Any],
) -> None:
    """Asks, and shows what was answered, that it is what was previewed, and what wasn't revealed."""
    answer = client.checks.create(scenario=scenario_id, consent_id=given.id, reference=reference)
    kept.answers.append((reference, answer))
    told = json.loads(answer.to_json())["data"]
    if any(told[member] != previewed[member] for member in ("outcome", "criteria", "disclosed")):
        raise DemoFailed(f"the answer for {reference} isn't what the preview showed")
    console.print(
        f"  {member.name} 核验 {scenario_id}（{reference}）→ {_outcome(answer.outcome)}  "
        "[green]✓[/green] 与预览一致 [dim]as previewed[/dim]"
    )
    console.print(
        f"    [dim]未透露 not revealed:[/dim] {'; '.join(_not_revealed(client.scenarios.get(scenario_id), answer))}"
    )


def _not_revealed(scenario: Scenario, answer: Answer) -> Iterator[str]:
    yield "name, identifier, any record"
    silent = [criterion.id for criterion in scenario.criteria if criterion.id not in answer.criteria]
    if silent:
        yield f"which of {len(silent)} criteria were met"
    fields = [
        f"{criterion.record} {name}"
        for criterion in scenario.criteria
        if criterion.id in answer.criteria
        for name in criterion.test
        if name not in answer.disclosed.get(criterion.id, {})
    ]
    if fields:
        yield ", ".join(fields)


def who_looked(person: Person, jwks: Mapping[str, Any]) -> None:
    """The access log as the page shows it; and its entries' receipts, verified without the server's word."""
    person.visit("/me/access-log")
    page = person.page
    for heading in page.texts("h3", "log"):
        console.print(f"  [bold]{escape(heading)}[/bold]")
    console.print(
        f"    {page.pair('时间')}，{escape(page.pair('对方业务编号'))}，告知对方 [dim]they learnt:[/dim] "
        f"{escape('；'.join(page.texts('li', 'log')))}"
    )
    for shown in page.texts("p", "log"):
        console.print(f"    {escape(' '.join(shown.split()))}")
    for link in page.links:
        if link.endswith("/entry.json"):
            file = json.loads(person.download(link))
            receipt = verify_receipt(file["receipt"], jwks, answer=file["answer"], reference=file["entry"]["reference"])
            console.print(
                f"    [green]✓[/green] 下载回执，自行核对：第 {receipt.leaf_index + 1} 条，共 {receipt.tree_size} 条  "
                "[dim]inclusion proof verified by the person's own program[/dim]"
            )


def hear(client: Xinyi, expected: str, since: str) -> Event:
    """The next event of this type, for a partner that takes no webhooks."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for event in client.events.list(cursor=since, types=[expected]):
            return event
        time.sleep(0.1)
    raise DemoFailed(f"nobody told {expected} in {PATIENCE} seconds")


def refusal(
    client: Xinyi,
    member: Member,
    scenario_id: str,
    given: Consent,
    reference: str,
    expected: type[APIError],
    kept: Evidence,
) -> None:
    """Asks what must be refused, and shows how."""
    try:
        client.checks.create(scenario=scenario_id, consent_id=given.id, reference=reference)
    except expected as error:
        kept.refused += 1
        console.print(f"  {member.name} 核验 {scenario_id}（{reference}）→ [bold red]{error.status} {error.code}[/]")
        console.print(f"    {error.problem['title']}")
    else:
        raise DemoFailed(f"the check of {reference} was answered, and {expected.__name__} was expected")


def verify_offline(sandbox: Sandbox, kept: Evidence) -> None:
    """With the server stopped: every receipt by its own proof, and the whole ledger against them."""
    chapter("离线核验", "The server is stopped; the receipts speak for themselves")
    words = []
    for reference, answer in kept.answers:
        receipt = verify_receipt(str(answer.receipt), kept.jwks, answer=answer, reference=reference)
        file = sandbox.folder / f"{reference}.receipt"
        file.write_text(str(answer.receipt))
        words += ["--checkpoint", str(file)]
        console.print(
            f"  [green]✓[/green] {reference}：{receipt.outcome}，第 {receipt.leaf_index + 1} 条，"
            f"共 {receipt.tree_size} 条  [dim]signed by {receipt.issuer}[/dim]"
        )
    sound, *_, counted = sandbox.command("ledger", "verify", *words).splitlines()
    console.print(f"  {sound}  [dim]xinyi ledger verify → {counted}[/dim]")


def chapter(zh: str, en: str) -> None:
    console.print()
    console.rule(f"[bold]{zh}[/bold]  {en}", align="left", style="dim")


if __name__ == "__main__":
    main()
