"""``xinyi-sdk batch``: many checks as one job."""

import argparse
import sys
from pathlib import Path
from typing import IO

from .._journal import last_number
from ..client import Xinyi
from ..progress import ProgressBar
from .common import ENVIRONMENT, Commands, both


def add_to(commands: Commands) -> None:
    batch = commands.add_parser("batch", help="many checks as one job", description=ENVIRONMENT)
    actions = batch.add_subparsers(required=True, metavar="COMMAND")

    submit = actions.add_parser(
        "submit",
        help="send a file of questions, and write what became of each",
        description="The same command goes on where it was interrupted, and never sends a file twice.",
    )
    submit.add_argument("file", metavar="FILE", help="NDJSON, CSV or JSON, as the end of its name says")
    submit.add_argument("--out", required=True, metavar="FILE", help="where to write, one item a line")
    submit.set_defaults(run=_submit)

    follow = actions.add_parser("follow", help="go on with a batch: write what is missing in the output")
    follow.add_argument("batch", metavar="ID", help="the batch's id")
    follow.add_argument("--out", required=True, metavar="FILE", help="where to go on writing; - is the screen")
    follow.set_defaults(run=_follow)


def _submit(options: argparse.Namespace) -> int:
    try:
        with Xinyi() as client, ProgressBar() as bar:
            batch = client.batches.run(file=options.file, out=options.out, progress=bar.show)
    except KeyboardInterrupt:
        print(both("已中断：再次运行同一命令即可继续", "interrupted: the same command goes on"), file=sys.stderr)  # noqa: T201
        raise
    met = batch.outcomes.met if batch.outcomes else 0
    said = both(
        f"{batch.total} 项，满足 {met} 项，被拒绝 {batch.refused} 项",
        f"{batch.total} items, {met} met, {batch.refused} refused",
    )
    print(f"{batch.id}: {said}", file=sys.stderr)  # noqa: T201
    return 0


def _follow(options: argparse.Namespace) -> int:
    """Writes the items behind those that the output has, with a progress bar on a terminal."""
    if options.out == "-":
        return _write_items(options.batch, sys.stdout.buffer, 0)
    with Path(options.out).open("a+b") as file:
        return _write_items(options.batch, file, last_number(file))


def _write_items(batch_id: str, file: IO[bytes], after: int) -> int:
    met = refused = 0
    with Xinyi() as client, ProgressBar() as bar:
        total = client.batches.get(batch_id).total
        bar.show(after, total)
        try:
            for item in client.batches.follow(batch_id, after=after):
                file.write(item.to_json().encode() + b"\n")
                met += item.met
                refused += item.error is not None
                bar.show(item.number, total)
                after = item.number
        finally:
            file.flush()
    said = both(
        f"已完成 {after} 项；本次写出的，满足 {met} 项，被拒绝 {refused} 项",
        f"{after} items done; of those written now, {met} met, {refused} refused",
    )
    print(said, file=sys.stderr)  # noqa: T201
    return 0
