"""Reading YAML strictly: what is wrong, in which file, on which line."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import Struct

from xinyi.catalogue.files import FileError, Problem, read


class Inner(Struct, forbid_unknown_fields=True):
    number: int = 0
    flag: bool = False


class Sample(Struct, forbid_unknown_fields=True):
    name: str
    age: timedelta = timedelta(days=1)
    inner: dict[str, Inner] = {}
    listed: tuple[Inner, ...] = ()


def write(folder: Path, text: str) -> Path:
    path = folder / "sample.yaml"
    path.write_text(text, "utf-8")
    return path


def problem(folder: Path, text: str) -> Problem:
    with pytest.raises(FileError) as caught:
        read(write(folder, text), Sample)
    (found,) = caught.value.problems
    assert found.path.name == "sample.yaml"
    return found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nsurname: b  # <-\n", "unknown field `surname`"),
        ("name: 7  # <-\n", "expected `str`, got `int`"),
        ("# a comment\nage: 1d  # <-\n", "missing required field `name`"),
        ("name: a\nage: soon  # <-\n", "expected `duration`, got `str`"),
        ("name: a\nname: b  # <-\n", "`name` stands here twice"),
        ("name: a\ninner:\n  one: {number: 1}\n  one: {number: 2}  # <-\n", "`one` stands here twice"),
        ("name: a\ninner:\n  one: {number: 1}\n  two:\n    number: x  # <-\n", "expected `int`, got `str`"),
        ("name: a\ninner:\n  one: {number: 1}\n  two:\n    numbr: 1  # <-\n", "unknown field `numbr`"),
        ("name: a\nlisted:\n  - number: 1\n  - flag: true\n    number: 1.5  # <-\n", "ambiguous"),
        ("name: a\nlisted:\n  - number: 1\n  - flag: true\n    number: [1]  # <-\n", "expected `int`, got `array`"),
        ("name: a\nlisted:\n  - flag: yes  # <-\n", "`yes` is ambiguous"),
        ("name: a\nlisted:\n  - number: 0x10  # <-\n", "`0x10` is ambiguous"),
        ("name: a\n1: b  # <-\n", "a key must be text"),
        ("name: a\ninner: {one: {number: 1}\nlisted: []  # <-\n", "expected"),
        ("- name: a  # <-\n", "expected `object`, got `array`"),
        ("name: !!python/name:os.system a  # <-\n", "ambiguous"),
        ("name: a\n---  # <-\nname: b\n", "but found another document"),
        ("name: a\ninner: {one: &b {number: 1},\n  two: *b}  # <-\n", "aliases aren't used here"),
        ("name: a\nlisted: &x [*x]  # <-\n", "aliases aren't used here"),
    ],
)
def test_a_complaint_names_the_line(tmp_path: Path, text: str, said: str) -> None:
    found = problem(tmp_path, text)
    marked = next(number for number, line in enumerate(text.splitlines(), 1) if "# <-" in line)
    assert said in found.message
    assert found.line == marked
    assert str(found) == f"{tmp_path / 'sample.yaml'}:{marked}: {found.message}"


@pytest.mark.parametrize("depth", [33, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_a_file_that_is_nested_too_deep_is_refused(tmp_path: Path, depth: int, opening: str, closing: str) -> None:
    depth = min(depth, 250_000 // len(opening + closing))
    assert "nested deeper than 32" in problem(tmp_path, "name: " + opening * depth + closing * depth).message


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    assert problem(tmp_path, text).message == "is empty"


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sample.yaml").write_bytes("name: 信易".encode("gb18030"))
    with pytest.raises(FileError, match="can't be read as UTF-8"):
        read(tmp_path / "sample.yaml", Sample)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="can't be read"):
        read(tmp_path / "missing.yaml", Sample)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    assert "larger than" in problem(tmp_path, "name: " + "a" * 300_000).message


@pytest.mark.parametrize("text", ["name: a\x00b\n", "name: a\x07b\n"])
def test_a_control_character_is_refused(tmp_path: Path, text: str) -> None:
    assert problem(tmp_path, text).line == 1


@pytest.mark.parametrize(
    ("written", "meant"),
    [("400d", timedelta(days=400)), ("24h", timedelta(hours=24)), ("15m", timedelta(minutes=15))],
)
def test_durations_are_written_as_people_say_them(tmp_path: Path, written: str, meant: timedelta) -> None:
    sample, _ = read(write(tmp_path, f"name: a\nage: {written}\n"), Sample)
    assert sample.age == meant


@pytest.mark.parametrize("written", ["P1D", "1.5d", "0d", "-1d", "1 d", "1w", "24", "'400d'"])
def test_durations_are_written_in_no_other_way(tmp_path: Path, written: str) -> None:
    assert "expected `duration`" in problem(tmp_path, f"name: a\nage: {written}\n").message


def test_quotes_and_dates_keep_text_as_text(tmp_path: Path) -> None:
    assert read(write(tmp_path, "name: '400d'\n"), Sample)[0].name == "400d"
    assert read(write(tmp_path, "name: 2026-01-31\n"), Sample)[0].name == "2026-01-31"
