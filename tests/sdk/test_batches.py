"""Batches: sent once whatever happens on the way, waited for, and read item by item."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import xinyi_sdk
from tests.sdk.conftest import result
from tests.sdk.platform import CLIENT, CONSENT, ISSUER, Platform, answering, dropping
from xinyi_sdk import Batch, BatchItem, BatchState, Question, Xinyi, cli
from xinyi_sdk._engine import Sources
from xinyi_sdk._journal import Output
from xinyi_sdk._operations.common import PAGE
from xinyi_sdk.cli import batch as batch_command
from xinyi_sdk.progress import ProgressBar

PATH = "/v1/check-batches"


def questions(count: int, **changes: str) -> list[Question]:
    return [
        Question(scenario="microloan-prescreen", consent_id=changes.get("consent_id", CONSENT), reference=f"CASE-{n}")
        for n in range(1, count + 1)
    ]


async def collected(items: Any) -> list[BatchItem]:
    return [item async for item in items] if isinstance(items, AsyncIterator) else list(items)


async def test_a_batch_is_sent_waited_for_and_read(client: Any, platform: Platform) -> None:
    seen: list[tuple[str, int]] = []

    batch = await result(client.batches.submit(items=questions(5)))
    finished = await result(client.batches.wait(batch.id, progress=lambda b: seen.append((b.state, b.done))))
    items = await collected(client.batches.items(batch.id))

    assert isinstance(batch, Batch)
    assert (batch.state, batch.total, batch.waiting, batch.outcomes) == (BatchState.QUEUED, 5, 5, None)
    assert seen == [("running", 2), ("running", 4), ("finished", 5)]
    assert finished.finished
    assert (finished.answered, finished.refused, finished.outcomes.met) == (5, 0, 5)
    assert [(item.number, item.reference, item.met) for item in items] == [(n, f"CASE-{n}", True) for n in range(1, 6)]
    assert all(item.answer.receipt.verify(reference=item.reference).met for item in items if item.answer)
    assert platform.time.slept == [0.5, 0.75]


async def test_an_item_that_was_refused_carries_the_error_of_a_call(client: Any, platform: Platform) -> None:
    batch = await result(client.batches.submit(items=[*questions(1), *questions(1, consent_id="cns_x")]))
    answered, refused = await collected(client.batches.follow(batch.id))

    assert (answered.met, answered.error) == (True, None)
    assert (refused.met, refused.answer) == (False, None)
    assert isinstance(refused.error, xinyi_sdk.ConsentRequired)
    assert (refused.error.code, refused.error.status, refused.error.source) == ("not_found", 404, "/consent_id")
    assert json.loads(refused.to_json())["problem"]["code"] == "not_found"
    archived = json.loads(answered.to_json())
    assert archived["number"] == 1
    assert xinyi_sdk.verify_receipt(archived["receipt"], platform.log.jwks, answer=archived).met


async def test_items_gives_what_is_done_and_follow_goes_on_to_the_end(client: Any, platform: Platform) -> None:
    platform.batch_step = PAGE + 1
    batch = await result(client.batches.submit(items=questions(PAGE + 3)))
    platform.batches[batch.id]["results"] = [
        platform.batch_item(n, dict(item)) for n, item in enumerate(platform.batches[batch.id]["items"][:3], 1)
    ]
    platform.batch_step = 0
    done = await collected(client.batches.items(batch.id))
    rest_now = await collected(client.batches.items(batch.id, after=2))
    platform.batch_step = PAGE
    rest = await collected(client.batches.follow(batch.id, after=3))

    assert [item.number for item in done] == [1, 2, 3]
    assert [item.number for item in rest_now] == [3]
    assert [item.number for item in rest] == list(range(4, PAGE + 4))


async def test_all_tries_of_a_batch_are_one_batch(client: Any, platform: Platform) -> None:
    platform.fail(PATH, dropping, answering(503))
    batch = await result(client.batches.submit(items=questions(1)))
    named = await result(client.batches.submit(items=questions(1), idempotency_key="mine"))
    again = await result(client.batches.submit(items=questions(1), idempotency_key="mine"))

    keys = [request.headers["idempotency-key"] for request in platform.requests if request.url.path == PATH]
    assert len(set(keys[:3])) == 1
    assert batch.id != named.id == again.id


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.ndjson", "application/x-ndjson"),
        ("a.jsonl", "application/x-ndjson"),
        ("a.csv", "text/csv"),
        ("a.json", "application/json"),
    ],
)
async def test_a_file_is_sent_as_the_end_of_its_name_says(
    client: Any, platform: Platform, tmp_path: Path, name: str, media_type: str
) -> None:
    platform.take_in = taking_anything(platform)  # type: ignore[method-assign]
    (tmp_path / name).write_bytes(b"whatever it holds")

    await result(client.batches.submit(file=tmp_path / name))

    assert platform.uploads == [(media_type, b"whatever it holds")]


def taking_anything(platform: Platform) -> Any:
    def take_in(request: httpx.Request) -> httpx.Response:
        platform.uploads.append((request.headers["content-type"], request.content))
        platform.batches["cbt_x"] = {"items": [{}], "results": []}
        return httpx.Response(202, json={"data": platform.batch_view("cbt_x")})

    return take_in


async def test_items_or_a_file_of_a_known_kind_is_needed(client: Any, tmp_path: Path) -> None:
    for options in ({}, {"items": [], "file": "a.csv"}, {"file": tmp_path / "a.xlsx"}):
        with pytest.raises(ValueError, match=r"items|name"):
            await result(client.batches.submit(**options))


async def test_bad_items_are_named(client: Any) -> None:
    with pytest.raises(xinyi_sdk.InvalidRequest) as caught:
        await result(client.batches.submit(items=[*questions(1), {"scenario": "x", "consent_id": CONSENT}]))
    assert caught.value.problem["errors"][0]["number"] == 2


async def test_a_batch_that_isnt_there_is_not_found(client: Any) -> None:
    with pytest.raises(xinyi_sdk.NotFound):
        await result(client.batches.get("cbt_none"))
    with pytest.raises(xinyi_sdk.NotFound):
        await collected(client.batches.follow("cbt_none"))


# The command


@pytest.fixture
def command(platform: Platform, private_jwk: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The command's client behind the stand-in's transport."""

    def make() -> Xinyi:
        http = httpx.Client(transport=platform.transport())
        client = Xinyi(base_url=ISSUER, client_id=CLIENT, private_key=private_jwk, http_client=http)
        client._driver.sleep = platform.time.sleep
        client._engine.sources = Sources(wall=platform.time, monotonic=platform.time)
        return client

    monkeypatch.setattr(batch_command, "Xinyi", make)
    return platform


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    path = tmp_path / "asked.ndjson"
    path.write_text("".join(json.dumps(each) + "\n" for each in [*questions(4), *questions(1, consent_id="cns_x")]))
    return path


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["number"] for line in path.read_text().splitlines()]


def test_the_command_sends_a_file_and_writes_what_became_of_each_item(
    command: Platform, asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.ndjson"

    assert cli.main(["batch", "submit", str(asked), "--out", str(out)]) == 0

    assert numbers(out) == [1, 2, 3, 4, 5]
    said = capsys.readouterr()
    (batch_id,) = command.batches
    assert f"{batch_id}: 5 项，满足 4 项，被拒绝 1 项 / 5 items, 4 met, 1 refused" in said.err
    assert "\r" not in said.err, "there is a bar on a terminal only"


def test_the_same_command_goes_on_after_a_crash_anywhere(
    command: Platform, asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.ndjson"
    again = ["batch", "submit", str(asked), "--out", str(out)]
    command.fail(PATH, *[committing_and_closing(command)] * 3)  # the batch is there, and nobody was told its id
    assert cli.main(again) == 1
    assert not out.exists()
    assert cli.main(again) == 0
    whole = out.read_bytes()
    lines = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:2]) + lines[2][:40])  # half a line was written
    uploads = len(command.uploads)

    assert cli.main(again) == 0
    assert out.read_bytes() == whole
    assert cli.main(again) == 0
    assert out.read_bytes() == whole
    assert len(command.uploads) == uploads, "a batch that is known isn't sent again"
    (batch_id,) = command.batches
    assert cli.main(["batch", "follow", batch_id, "--out", str(out)]) == 0
    assert out.read_bytes() == whole
    capsys.readouterr()


def committing_and_closing(platform: Platform) -> Any:
    def fault(request: httpx.Request) -> httpx.Response:
        platform.batch(request)
        raise httpx.RemoteProtocolError("closed", request=request)

    return fault


def test_nothing_of_another_kind_is_overwritten(
    command: Platform, asked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.ndjson"
    out.write_text("mine")
    assert cli.main(["batch", "submit", str(asked), "--out", str(out)]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    out.unlink()
    assert cli.main(["batch", "submit", str(asked), "--out", str(out)]) == 0
    asked.write_text(json.dumps(questions(1)[0]) + "\n")
    assert cli.main(["batch", "submit", str(asked), "--out", str(out)]) == 2
    assert "other questions" in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_written(
    command: Platform, asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.ndjson"
    write = Output.write

    def interrupted(self: Output, item: BatchItem) -> None:
        if item.number == 3:
            raise KeyboardInterrupt
        write(self, item)

    with monkeypatch.context() as patch:
        patch.setattr(Output, "write", interrupted)
        assert cli.main(["batch", "submit", str(asked), "--out", str(out)]) == 130
    assert numbers(out) == [1, 2]
    assert "the same command goes on" in capsys.readouterr().err
    assert cli.main(["batch", "submit", str(asked), "--out", str(out)]) == 0
    assert numbers(out) == [1, 2, 3, 4, 5]


async def test_a_batch_is_run_to_its_end_with_progress(client: Any, platform: Platform, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    out = tmp_path / "results.ndjson"
    batch = await result(client.batches.run(items=questions(5), out=out, progress=lambda *counts: seen.append(counts)))
    assert (batch.finished, batch.outcomes.met) == (True, 5)
    assert numbers(out) == [1, 2, 3, 4, 5]
    assert (seen[0], seen[-1]) == ((0, 5), (5, 5))
    with pytest.raises(ValueError, match="other questions"):
        await result(client.batches.run(items=questions(6), out=out))


def test_the_command_names_the_lines_that_cant_be_taken(
    command: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.ndjson"
    bad.write_text(json.dumps({"scenario": "x", "consent_id": CONSENT}) + "\n")

    assert cli.main(["batch", "submit", str(bad), "--out", str(tmp_path / "out")]) == 1

    assert "line 1, reference: required" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_the_share_the_count_and_the_rate() -> None:
    stream, now = Terminal(), [0.0]
    bar = ProgressBar(stream, lambda: now[0])
    bar.show(500, 2000)
    now[0] = 0.05
    bar.show(600, 2000)
    now[0] = 1.0
    bar.show(1500, 2000)
    bar.show(2000, 2000)
    bar.close()

    drawn = [line.removesuffix("\x1b[K") for line in stream.getvalue().removesuffix("\n").split("\r")[1:]]
    assert drawn == [
        "[#######.......................]  25% 500/2,000",
        "[######################........]  75% 1,500/2,000 1,000/s",
        "[##############################] 100% 2,000/2,000 1,500/s",
    ]


def test_elsewhere_there_is_no_bar() -> None:
    stream = io.StringIO()
    bar = ProgressBar(stream)
    bar.show(5, 10)
    bar.close()
    assert stream.getvalue() == ""
