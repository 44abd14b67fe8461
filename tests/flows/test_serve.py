"""`xinyi serve` starts only as somebody must have meant it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.pairs import Embedded
from tests.support.process import server_process
from xinyi.cli import main


def test_a_sandbox_that_others_can_reach_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path))
    refused = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0", "--port", "0"])  # noqa: S104 (what is refused)
    assert refused.exit_code == 1
    assert "0.0.0.0 can be reached by others: listen on 127.0.0.1, or say --allow-remote-sandbox" in refused.output


def test_a_sandbox_is_reached_by_others_when_that_is_said(tmp_path: Path, embedded: Embedded):
    with server_process(tmp_path, embedded, "--host", "0.0.0.0", "--allow-remote-sandbox") as server:  # noqa: S104
        assert server.process.poll() is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_sandbox_on_this_machine_needs_no_word(tmp_path: Path, embedded: Embedded, host: str):
    with server_process(tmp_path, embedded, "--host", host) as server:
        assert server.process.poll() is None
