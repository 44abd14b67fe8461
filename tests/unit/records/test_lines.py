"""Lines come out the same however the bytes arrive, and a line without end costs no memory."""

import pytest

from xinyi.records.lines import MAX_LINE, LineSplitter


def split(data: bytes, size: int) -> list[bytes | None]:
    splitter = LineSplitter()
    lines = [line for at in range(0, len(data), size) for line in splitter.feed(data[at : at + size])]
    return lines + splitter.end()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_blocks_of_any_size_give_the_same_lines(size: int) -> None:
    assert split(b"one\r\ntwo\n\nfour", size) == [b"one", b"two", b"", b"four"]


def test_a_final_line_end_starts_no_line() -> None:
    assert split(b"one\n", 10) == [b"one"]
    assert split(b"", 10) == []


def test_the_longest_line_is_taken_and_a_longer_one_is_not() -> None:
    assert split(b"x" * MAX_LINE + b"\n" + b"y" * (MAX_LINE + 1) + b"\nz", 4096) == [b"x" * MAX_LINE, None, b"z"]


def test_a_stream_without_line_ends_is_never_held() -> None:
    splitter = LineSplitter()
    for _ in range(64):
        assert splitter.feed(b"x" * MAX_LINE) == []
        assert len(splitter._rest) <= MAX_LINE
    assert splitter.end() == [None]
