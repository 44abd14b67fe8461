"""The main job, told step by step as it happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table

from demo.person import Page, Person
from demo.sandbox import Member, Sandbox
from demo.surroundings import DemoFailed, console, say_command, told_in_one_sentence
from xinyi_sdk import Answer, Consent, ConsentWithdrawn, Scenario, ScenarioMismatch, Xinyi, verify_receipt
from xinyi_sdk.errors import APIError


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
        sandbox = Sandbox(Path(folder), say_command)
        chapter("筹备", "The operator sets the platform up")
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
            tell(url, bikes, bank, kept)
        verify_offline(sandbox, kept)
        console.print()
        console.print(
            f"demo: {len(kept.answers)} checks answered, {kept.refused} refused, "
            f"{len(kept.answers)} receipts verified offline"
        )


def tell(url: str, bikes: Member, bank: Member, kept: Evidence) -> None:
    """The story itself, against the server at ``url``."""
    with partner(url, bikes) as platform, partner(url, bank) as lender:
        chapter("免押金", "A person rides a bike without a deposit")
        resident = Person(url)
        ride = consent(platform, bikes, "bike-deposit", resident, "person-a")
        check(platform, bikes, "bike-deposit", ride, "RIDE-2026-000123", kept)

        chapter("贷款预筛", "A small company asks a bank for a loan")
        company = Person(url)
        loan = consent(lender, bank, "microloan-prescreen", company, "company-b")
        check(lender, bank, "microloan-prescreen", loan, "LOAN-2026-000456", kept)

        chapter("撤回即时生效", "The person withdraws, and the next check is refused")
        resident.visit("/me")
        resident.press("", "", at=f"/me/consents/{ride.id}/withdraw")
        console.print("  示例居民甲 presses [bold]撤回授权[/bold] (withdraw) on their own page.")
        refusal(platform, bikes, "bike-deposit", ride, "RIDE-2026-000124", ConsentWithdrawn, kept)

        chapter("一事一授权", "A consent to one scenario opens no other")
        refusal(lender, bank, "trade-finance", loan, "TRADE-2026-000789", ScenarioMismatch, kept)

        kept.jwks = lender.ledger.jwks()
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


def consent(client: Xinyi, member: Member, scenario_id: str, person: Person, persona: str) -> Consent:
    """Sends a person to the consent page, lets them read and agree, and takes them back."""
    request = client.consents.start(scenario=scenario_id, redirect_uri=member.redirect_uri)
    person.visit(request.url)
    person.press("persona", persona)
    person.visit(f"{request.url}&lang=en")
    english = person.page
    person.visit(f"{request.url}&lang=zh")
    console.print(f"  [bold]{member.name}[/bold] sends them to the consent page. They sign in, and read:")
    console.print(Padding(Panel(_gist(person.page, english), width=96, border_style="dim"), (0, 4)))
    callback = person.press("decision", "agree")
    given = client.consents.finish(callback, request)
    console.print(f"  They press [bold]同意[/bold] (agree); [bold]不同意[/bold] (refuse) was as near. → {given.id}")
    return given


def _gist(chinese: Page, english: Page) -> Table:
    """What the page says, word for word: who asks, what for, which facts, how long, or else."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, zh, en in (
        ("谁 who", _heading(chinese), _heading(english)),
        ("用途 purpose", chinese.pair("用途"), english.pair("Purpose")),
        ("事项 facts", "；".join(_facts(chinese)), "; ".join(_facts(english))),
        ("期限 how long", chinese.pair("有效期"), english.pair("Lasts for")),
        ("次数 checks", chinese.pair("次数"), english.pair("Checks")),
        ("不同意 or else", " ".join(chinese.texts("p", "fallback")), " ".join(english.texts("p", "fallback"))),
    ):
        grid.add_row(f"[dim]{label}[/dim]", escape(zh))
        grid.add_row("", f"[dim]{escape(en)}[/dim]")
    return grid


def _heading(page: Page) -> str:
    return " ".join(page.texts("h1"))


def _facts(page: Page) -> list[str]:
    return page.texts("h3", "facts")


def check(client: Xinyi, member: Member, scenario_id: str, given: Consent, reference: str, kept: Evidence) -> None:
    """Asks, and shows what was answered and what wasn't revealed."""
    answer = client.checks.create(scenario=scenario_id, consent_id=given.id, reference=reference)
    kept.answers.append((reference, answer))
    console.print(f"  [bold]{member.name}[/bold] asks: {scenario_id}? (case {reference})")
    console.print(f"    [bold {'green' if answer.met else 'yellow'}]{answer.outcome}[/]  as of {answer.as_of:%F %T}Z")
    for criterion in answer.criteria.values():
        values = ", ".join(f"{name} {value}" for name, value in answer.disclosed.get(criterion.id, {}).items())
        console.print(f"    · {criterion.id}: {criterion.outcome}" + (f" ({values})" if values else ""))
    console.print(f"    [dim]known to the partner only as {answer.subject}[/dim]")
    for line in _not_revealed(client.scenarios.get(scenario_id), answer):
        console.print(f"    [dim]未透露 not revealed:[/dim] {line}")


def _not_revealed(scenario: Scenario, answer: Answer) -> Iterator[str]:
    yield "name, identifier, any record"
    silent = [criterion.id for criterion in scenario.criteria if criterion.id not in answer.criteria]
    if silent:
        yield f"which of {len(silent)} criteria were met: {', '.join(silent)}"
    fields = [
        f"{criterion.record} {name}"
        for criterion in scenario.criteria
        if criterion.id in answer.criteria
        for name in criterion.test
        if name not in answer.disclosed.get(criterion.id, {})
    ]
    if fields:
        yield f"values: {', '.join(fields)}"


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
    console.print(f"  [bold]{member.name}[/bold] asks: {scenario_id}? (case {reference})")
    try:
        client.checks.create(scenario=scenario_id, consent_id=given.id, reference=reference)
    except expected as error:
        kept.refused += 1
        console.print(f"    [bold red]refused[/bold red] {error.status} {error.code}: {error.problem['title']}")
        console.print(f"    [dim]what to do: {error.hint}[/dim]")
    else:
        raise DemoFailed(f"the check of {reference} was answered, and {expected.__name__} was expected")


def verify_offline(sandbox: Sandbox, kept: Evidence) -> None:
    """With the server stopped: every receipt by its own proof, and the whole ledger against them."""
    chapter("离线核验", "The server is stopped; the receipts speak for themselves")
    for reference, answer in kept.answers:
        receipt = verify_receipt(str(answer.receipt), kept.jwks, answer=answer, reference=reference)
        file = sandbox.folder / f"{reference}.receipt"
        file.write_text(str(answer.receipt))
        console.print(
            f"  [green]✓[/green] {reference}: entry {receipt.leaf_index} of {receipt.tree_size}, "
            f"{receipt.outcome}, signed by {receipt.issuer}"
        )
    words = [
        word for reference, _ in kept.answers for word in ("--checkpoint", str(sandbox.folder / f"{reference}.receipt"))
    ]
    for line in sandbox.command("ledger", "verify", *words).splitlines():
        console.print(f"    {line}")


def chapter(zh: str, en: str) -> None:
    console.print()
    console.rule(f"[bold]{zh}[/bold]  {en}", align="left", style="dim")


if __name__ == "__main__":
    main()
