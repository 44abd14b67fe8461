"""Who is measured, and the rounds: all take their turns within each, so that what disturbs the machine disturbs all."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import uvloop
from msgspec import Struct

from . import requests
from .databases import Databases
from .installation import Installation
from .load import Run, closed_loop, open_loop
from .population import RECORDS_EACH
from .processes import Server, running
from .summary import Measured

WARM_UP: Final = 1_000
CONSENTS: Final = 10_000


class Contender(Struct, frozen=True):
    """One server and how to make requests for it."""

    name: str
    server: Server
    make: Callable[[int], list[bytes]]

    def as_much_as_goes(self, count: int) -> tuple[Run, float]:
        """One run of ``count`` requests, and the processor time that each cost the server."""
        made, before = self.make(count), self.server.computed
        run = uvloop.run(closed_loop(self.server.port, made))
        return run, (self.server.computed - before) / count

    def at(self, rate: float, count: int) -> Run:
        """One run of ``count`` requests that come at this rate."""
        return uvloop.run(open_loop(self.server.port, self.make(count), rate))


class Contenders(Struct, frozen=True):
    """All of them, with the two installations that the product's servers stand on."""

    each: list[Contender]
    embedded: Installation
    on_servers: Installation

    def server(self, name: str) -> Server:
        """The process of the one with this name."""
        return next(contender.server for contender in self.each if contender.name == name)


@contextmanager
def standing(folder: Path, outside: Databases) -> Iterator[Contenders]:
    """Every server of the table, running; each is idle while another is measured."""
    embedded = Installation(folder / "embedded")
    on_servers = Installation(folder / "servers", **outside.urls("bench"))
    for installation in (embedded, on_servers):
        installation.make(CONSENTS * RECORDS_EACH)
    with ExitStack() as stack:

        def start(*words: str, over: Installation | None = None) -> Server:
            return stack.enter_context(running(words, over.environment if over else {}, folder))

        small, large = start("xinyi", "serve", over=embedded), start("xinyi", "serve", over=on_servers)
        alike = requests.checks(embedded, small.port, 1)

        def same(count: int) -> list[bytes]:
            return alike * count

        def on_small(count: int) -> list[bytes]:
            return requests.checks(embedded, small.port, count)

        def on_large(count: int) -> list[bytes]:
            return requests.checks(on_servers, large.port, count)

        each = [
            *(
                Contender(name, start("benchmarks.yardsticks", word), same)
                for name, word in (("generator alone", "socket"), ("empty", "empty"), ("floor", "floor"))
            ),
            # Over the same installation as check_postgres, whose server gives the tokens.
            Contender("ordinary", start("benchmarks.ordinary", over=on_servers), on_large),
            Contender("check_sqlite", small, on_small),
            Contender("check_postgres", large, on_large),
            Contender("token", small, lambda count: requests.tokens(embedded, count)),
            Contender("introspect", small, lambda count: requests.introspections(embedded, small.port, count)),
        ]
        yield Contenders(each, embedded, on_servers)


def measure(
    taking_part: Sequence[Contender], rounds: int, seconds: float, told: Callable[[str], None]
) -> dict[str, Measured]:
    """Rounds of as much as goes through, then rounds at half of that."""
    results = {contender.name: Measured(contender.name) for contender in taking_part}
    counts: dict[str, int] = {}
    for contender in taking_part:
        contender.as_much_as_goes(WARM_UP)
        counts[contender.name] = int(contender.as_much_as_goes(WARM_UP)[0].rate * seconds)
    for number in range(rounds):
        for contender in taking_part:
            told(f"round {number + 1} of {rounds}: {contender.name}, as much as goes through")
            run, cost = contender.as_much_as_goes(counts[contender.name])
            measured = results[contender.name]
            measured.rates.append(run.rate)
            measured.costs.append(cost)
            measured.busy.append(run.busy)
    for number in range(rounds):
        for contender in taking_part:
            told(f"round {number + 1} of {rounds}: {contender.name}, at half load")
            rate = results[contender.name].rate / 2
            results[contender.name].tails.append(contender.at(rate, int(rate * seconds)).tail)
    return results
