"""The law table: what the law says, what the platform does, and which tests show it.

A test of row L20 is called ``test_l20_…`` and lies in this folder. ``python -m tests.law`` writes the page
``docs/reference/law.md`` from here; a test holds the page against it.
"""

import ast
import re
from pathlib import Path
from typing import Final

from msgspec import Struct

HERE: Final = Path(__file__).resolve().parent
PAGE: Final = HERE.parents[1] / "docs" / "reference" / "law.md"
_NAME: Final = re.compile(r"^test_(l\d\d)_")


class Row(Struct, frozen=True):
    """One rule."""

    id: str
    rule: str
    behaviour: str


ROWS: Final = (
    Row(
        "L01",
        "PIPL Art. 6: the least that the purpose needs",
        "An answer lies within what the scenario discloses, the consent covers and the client may have",
    ),
    Row("L02", "PIPL Art. 14, 23: separate consent", "One consent is for one scenario; a bundle is refused"),
    Row(
        "L03",
        "PIPL Art. 14: a change asks again",
        "A version that widens anything needs a new consent (`consent_outdated`); one that narrows does not",
    ),
    Row(
        "L04",
        "PIPL Art. 15: withdrawal",
        "One call, effective at once, tokens included; receipts of earlier answers stay valid",
    ),
    Row("L05", "PIPL Art. 16: no tying", "A scenario without a `fallback` isn't loaded, and the notice tells it"),
    Row(
        "L06",
        "PIPL Art. 17: notice",
        "Who, what for, which facts, how long and the rights are told before; the notice's digest is in the consent",
    ),
    Row(
        "L07",
        "PIPL Art. 19: no longer than needed",
        "Everything that is given expires; what an answer said is erased when its time is over, a batch goes with the "
        "last of its answers, and what became of each line of an import goes after 90 days",
    ),
    Row("L08", "PIPL Art. 24: explanation, and a person", "Each outcome is explained, with a contact for a review"),
    Row(
        "L09", "PIPL Art. 28-30: sensitive information", "Sensitive facts need written consent and a written necessity"
    ),
    Row(
        "L10",
        "PIPL Art. 45: access, copy, transfer",
        "One export holds all that is kept about the subject, the access log with its receipts included",
    ),
    Row(
        "L11",
        "PIPL Art. 46-47: correction and deletion",
        "A contested record counts nowhere; what is taken back is gone; what was answered is erased after a withdrawal",
    ),
    Row(
        "L13",
        "PIPL Art. 55-56: impact assessment",
        "A scenario without a `pia_ref` isn't loaded",
    ),
    Row(
        "L14",
        "L14-15: the log of who was supplied and who asked",
        "Time, caller, who agreed and what for are kept for five years, and not for ever; and so is which source sent "
        "how many rows, and when",
    ),
    Row(
        "L16",
        "征信业管理条例 Art. 18, 20: the agreed purpose, no onward supply",
        "A check for another scenario than the agreed one is refused; the receipt says that nothing is passed on",
    ),
    Row(
        "L19",
        "网络数据安全管理条例 Art. 22: no nagging",
        "After a refusal the same partner can't ask again for a time; a redirect that the subject starts is free",
    ),
    Row(
        "L20",
        "Regional credit rules: disputes",
        "A contested record counts as not evidenced; its source has to answer within the region's working days",
    ),
    Row(
        "L21",
        "深圳经济特区社会信用条例 Art. 39: honours",
        "An honour that the subject keeps off the record is the same as none, and stays off when it is sent again, "
        "under whatever number and by whatever source",
    ),
    Row(
        "L22",
        "Regional credit rules: to know who looked",
        "Each look is listed with its caller and its proof, each record with its source",
    ),
    Row("L24", "Minors", "A subject is 18 or older, to the day"),
    Row(
        "L25",
        "信用修复 2026: credit repair",
        "A repair notice drops what was sent; the next check sees what counts; nothing outside tells of it",
    ),
)


def shown_by() -> dict[str, list[str]]:
    """The tests of each row, as ``file::name``."""
    found: dict[str, list[str]] = {row.id: [] for row in ROWS}
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (named := _NAME.match(node.name)):
                found.setdefault(named[1].upper(), []).append(f"{path.name}::{node.name}")
    return found


def page() -> str:
    """The page, as Markdown."""
    shown = shown_by()
    rows = "\n".join(
        f"| {row.id} | {row.rule} | {row.behaviour} | {'<br>'.join(f'`{test}`' for test in shown[row.id])} |"
        for row in ROWS
    )
    return (
        "# Law, behaviour, test\n\n"
        "What the law asks, what the platform does about it, and the tests in `tests/law/` that show it. It is no\n"
        "legal advice: whether an installation is lawful depends on its operator, its partners and their licences.\n"
        "`python -m tests.law` writes this page; the ordinary tests hold it against the code.\n\n"
        "| row | rule | behaviour | tests |\n|---|---|---|---|\n" + rows + "\n"
    )
