"""A sandbox server that stays, and what to try with it: ``make serve``."""

import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.table import Table

from demo.sandbox import Member, Sandbox
from demo.surroundings import DemoFailed, console, say_command, told_in_one_sentence
from xinyi.sandbox.personas import personas

KEPT: Final = ("XINYI_HOST", "XINYI_PORT")
"""What of the surroundings' settings holds for this server too."""
CALLBACK = "http://127.0.0.1:8080/callback"
MEMBERS = {
    "bikes": ("示例单车", "Sample Bikes", "bike-share", CALLBACK, ("bike-deposit",)),
    "bank": ("示例银行", "Sample Bank", "bank", CALLBACK, ("microloan-prescreen", "trade-finance")),
}


def main() -> None:
    """Fills ``var/`` the first time, serves until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with told_in_one_sentence("serve"):
        serve(Sandbox(Path("var"), say_command, kept=KEPT, quiet=True))


def serve(sandbox: Sandbox) -> None:
    """Serves what is in the sandbox, and ends with its server."""
    members = {slug: sandbox.member(slug) for slug in MEMBERS}
    if None in members.values():
        sandbox.fill()
        members = {slug: members[slug] or sandbox.add_member(slug, *about) for slug, about in MEMBERS.items()}
    try:
        with suppress(KeyboardInterrupt), sandbox.serving() as url:
            show(url, [member for member in members.values() if member is not None])
            assert sandbox.server is not None, "it is serving"
            raise DemoFailed(f"the server ended by itself, with status {sandbox.server.wait()}")
    except DemoFailed as error:
        if "can't listen" in str(error):
            said = str(error).partition(";")[0]  # without the server's own way out, an option of its command
            raise DemoFailed(f"{said}; try another port: XINYI_PORT=8001 make serve") from error
        raise


def show(url: str, members: list[Member]) -> None:
    """What to try next."""
    console.print()
    console.rule("[bold]沙箱已就绪[/bold]  The sandbox is ready", align="left", style="dim")
    places = Table.grid(padding=(0, 2))
    for label, where in (
        ("接口文档 API reference", f"{url}/docs"),
        ("我的授权 a person's page", f"{url}/me"),
        ("应用清单 scenarios", f"{url}/v1/scenarios"),
    ):
        places.add_row(f"[dim]{label}[/dim]", where)
    console.print(places)

    console.print("\n[bold]接入机构[/bold] partners, their keys, and where their subjects come back to")
    for member in members:
        console.print(f"  {member.name}  {member.client_id}  {member.private_key}  {member.redirect_uri}")

    console.print("\n[bold]虚构主体[/bold] personas to sign in as, and to ask by link by their identifiers")
    cast = personas()
    widths = [max(map(cell_len, texts)) for texts in zip(*((each.id, each.name.zh) for each in cast), strict=True)]
    for each in cast:
        id_, name = map(set_cell_size, (each.id, each.name.zh), widths)
        console.print(f"  {id_}  {each.identifier.value}  {name}  [dim]{each.describes.en}[/dim]")

    bikes = members[0]
    console.print(f"""
[bold]试一试[/bold] try the example of README.md in another terminal, with
  export XINYI_SDK_BASE_URL={url}
  export XINYI_SDK_CLIENT_ID={bikes.client_id}
  export XINYI_SDK_PRIVATE_KEY_FILE={bikes.private_key}
The browser ends at {bikes.redirect_uri}, where nothing listens: copy the address.

Ctrl-C stops it; the data stays in var/.""")


if __name__ == "__main__":
    main()
