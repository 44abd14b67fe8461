"""What libraries say is logged without what they fill in."""

import io
import json
import logging

import pytest

from xinyi.telemetry.logs import configure_logging


@pytest.fixture
def log() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("INFO", stream)
    return stream


def said(log: io.StringIO) -> list[str]:
    return [json.loads(line)["said"] for line in log.getvalue().splitlines()]


def test_news_with_blanks_are_left_out_whole(log: io.StringIO):
    logger = logging.getLogger("uvicorn.error")
    logger.info("Started server process [%d]", 4711)
    logger.info("Application startup complete.")
    assert said(log) == ["Application startup complete."]


def test_warnings_are_logged_with_their_blanks(log: io.StringIO):
    logging.getLogger("uvicorn.error").warning("Exceeded the limit of %d requests", 4711)
    assert said(log) == ["Exceeded the limit of %d requests"]
