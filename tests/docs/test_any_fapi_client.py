"""The page on bringing one's own client, done as it is written: its commands, and its program in a plain folder.

Changed for the test are the ports, which must be free ones, and how openid-client comes into the folder: it is linked
from where set-up has installed it.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from urllib.parse import urljoin

import httpx

from tests.support.node import NODE, TOOLS
from tests.support.oauth import forms

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "how-to" / "run-any-fapi-client.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The page's blocks of code in a language."""
    return [dedent(block) for block in re.findall(rf"^ *```{language}\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def test_the_page_does_what_it_says(tmp_path: Path):
    back = free_port()
    keygen, serve, flow = (shlex.split(block.replace(":8080", f":{back}")) for block in blocks("sh"))
    [program] = blocks("js")
    (tmp_path / "flow.mjs").write_text(program.replace("8080", str(back)))
    (tmp_path / "node_modules").symlink_to(TOOLS / "node_modules")
    environment = {**os.environ, "XINYI_PORT": "0", "XINYI_LOG_LEVEL": "ERROR"}
    commands = Path(sys.executable).parent

    subprocess.run([commands / keygen[0], *keygen[1:]], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    with subprocess.Popen(
        [commands / serve[0], *serve[1:]], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            told = dict(server.stdout.readline().split(maxsplit=1) for _ in range(6))
            told = {name: value.strip() for name, value in told.items()}
            assert list(told) == [line.split()[0] for line in blocks("text")[0].splitlines()]
            assert told["discovery"].startswith(told["issuer"])
            assert flow[2].startswith("http://127.0.0.1:")
            command = [str(NODE), flow[1], told["issuer"], told["client_id"], flow[4]]
            with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as client:
                try:
                    assert client.stdout is not None
                    opened = client.stdout.readline()
                    assert opened.startswith("open "), opened
                    agree(opened.split()[1])
                    answer = client.stdout.read()
                finally:
                    client.kill()
        finally:
            server.terminate()
    assert '"outcome": "met"' in answer
    assert '"receipt": "' in answer


def agree(url: str) -> None:
    """The person: signs in, agrees, and lets the browser go back to the client."""
    with httpx.Client() as browser:
        sign_in = forms(browser.get(url))[0]
        entered = browser.post(urljoin(url, sign_in.action), data={**sign_in.fields, "persona": "company-a"})
        consent = forms(browser.get(urljoin(url, entered.headers["location"])))[-1]
        decided = browser.post(urljoin(url, consent.action), data={**consent.fields, "decision": "agree"})
        assert "close this page" in browser.get(decided.headers["location"]).text
