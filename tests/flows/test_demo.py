"""The demo is the same story in any terminal, and tells in one sentence what it can't do."""

import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import demo.serve
from demo.sandbox import Member, Sandbox
from demo.surroundings import DemoFailed
from xinyi.sandbox.personas import personas

ROOT = Path(__file__).resolve().parents[2]
ADVERSE = {
    "XINYI_ENVIRONMENT": "production",
    "XINYI_NOTHING_LIKE_THAT": "1",
    "XINYI_SDK_BASE_URL": "https://elsewhere.example",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "PYTHONIOENCODING": "ascii",
}
"""What an operator may have set for installations of their own."""
LONGEST = 60
"""Lines: people read the whole story, or none of it."""


def run(program: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", program],
        cwd=folder,
        env={**os.environ, **ADVERSE, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def test_the_demo_runs_whatever_is_set_around_it(tmp_path: Path) -> None:
    result = run("demo", tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "demo: 2 checks answered, 2 refused, 2 receipts verified offline"
    for said_by_the_page in (
        "支付押金后骑行",
        "Pay the deposit and ride",
        "365 days",
        "Water bills paid on time and so on, 11 in all",
        "可多次核验",
        "纳税缴费信用级别：满足；连续按时申报缴纳：满足；社会保险费缴纳：未见佐证",
        "RIDE-2026-000123，告知对方 they learnt: 总结果：满足公布的条件",
        "已写入公开账本，此后不能更改或删除",
    ):
        assert said_by_the_page in " ".join(result.stdout.replace("│", "").split())
    assert result.stdout.count("✓ 与预览一致") == 2
    assert "✓ 下载回执，自行核对：第 3 条，共 6 条" in result.stdout
    assert "consent.withdrawn  withdrawn_by_subject" in result.stdout
    assert len(result.stdout.splitlines()) <= LONGEST
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_one_sentence_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("demo.serve", tmp_path, XINYI_PORT=str(port))
    assert result.returncode == 1
    (sentence,) = result.stderr.splitlines()
    assert sentence == (
        f"serve: 无法监听 / can't listen on 127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}; "
        "try another port: XINYI_PORT=8001 make serve"
    )


def test_serving_says_only_what_to_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """No line of the server's log, and the identifiers that partners ask by link with."""
    monkeypatch.setenv("XINYI_PORT", "0")
    monkeypatch.chdir(tmp_path)
    shown = demo.serve.show

    def show_and_stop(url: str, members: list[Member]) -> None:
        shown(url, members)
        assert httpx.get(f"{url}/v1/scenarios").status_code == 200
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.serve, "show", show_and_stop)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    demo.serve.main()
    told, log = capfd.readouterr()
    assert log == ""
    for persona in personas():
        assert f"{persona.id}  " in told
        assert persona.identifier.value in told


def test_serving_ends_when_the_server_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XINYI_PORT", "0")
    sandbox = Sandbox(tmp_path, lambda words: None, kept=["XINYI_PORT"])

    def show(*_about: object) -> None:
        assert sandbox.server is not None
        sandbox.server.kill()

    monkeypatch.setattr(demo.serve, "show", show)
    with pytest.raises(DemoFailed, match="the server ended by itself, with status -9"):
        demo.serve.serve(sandbox)


def test_commands_are_announced_as_they_can_be_pasted(tmp_path: Path) -> None:
    announced: list[str] = []
    sandbox = Sandbox(tmp_path, announced.append)
    sandbox.add_member(
        "bikes", "示例 单车", "Sample Bikes", "bike-share", "https://bikes.example/back", ("bike-deposit",)
    )
    listed = [words for words in announced if "partners add" in words]
    again = subprocess.run(listed[0], shell=True, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S602
    assert again.stdout.startswith("prt_")
    assert len(sandbox.command("partners", "list").splitlines()) == 3
