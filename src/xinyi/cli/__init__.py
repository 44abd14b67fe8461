"""The command line: ``xinyi TOPIC COMMAND``, one module a topic."""

import sys
from io import TextIOWrapper
from pathlib import Path

import click

from .. import __version__
from .audit import audit
from .clients import clients
from .consents import consents
from .disputes import disputes
from .events import events
from .keys import keys
from .ledger import ledger
from .migrate import migrate
from .openapi import openapi
from .partners import partners
from .records import records
from .retention import retention
from .sandbox import sandbox
from .scenarios import scenarios
from .serve import serve
from .sources import sources
from .usage import usage


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xinyi")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings file; the default is xinyi.toml in this folder, if it is there.",
)
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """xinyi: the credit-incentive (信易+) scenario API."""
    context.obj = config
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that knows no Chinese still shows the English
            stream.reconfigure(errors="replace")


for command in (
    audit,
    clients,
    consents,
    disputes,
    events,
    keys,
    ledger,
    migrate,
    openapi,
    partners,
    records,
    retention,
    sandbox,
    scenarios,
    serve,
    sources,
    usage,
):
    main.add_command(command)


def _say_whole(group: click.Group) -> None:
    """Lists of commands tell the whole first sentence of each, where click would cut it off."""
    for each in group.commands.values():
        each.short_help = " ".join((each.help or "").split("\n\n")[0].split()).split(". ")[0].removesuffix(".")
        if isinstance(each, click.Group):
            _say_whole(each)


_say_whole(main)
