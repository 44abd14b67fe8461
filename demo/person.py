"""A person at a browser, reduced to what the pages need: links, forms, cookies, and what they say."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

import httpx

from demo.surroundings import DemoFailed

_BLOCKS: Final = frozenset({"h1", "h2", "h3", "p", "dt", "dd", "li", "pre"})


@dataclass
class Form:
    """A form of a page, with its hidden fields and its buttons by ``(name, value)``."""

    action: str
    method: str
    id: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Block:
    """A heading, paragraph, term or item, and the section that it stands in, by the id of its heading."""

    section: str
    tag: str
    text: str = ""
    holds_others: bool = False


class Page(HTMLParser):
    """The forms, the links and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.blocks: list[Block] = []
        self._section = ""
        self._open: list[Block] = []
        self._elsewhere: list[tuple[str, tuple[str, str]]] = []
        self.feed(html)
        for form in self.forms:
            form.buttons += [button for owner, button in self._elsewhere if owner == form.id]

    def texts(self, tag: str, section: str = "") -> list[str]:
        """What the blocks of this kind that hold no other say, in one section or everywhere."""
        return [
            block.text
            for block in self.blocks
            if block.tag == tag and section in {"", block.section} and not block.holds_others
        ]

    def pairs(self, section: str = "") -> list[tuple[str, str]]:
        """The terms of one section or everywhere, each with what it is said to be."""
        return [
            (term.text, said.text)
            for term, said in zip(self.blocks, self.blocks[1:], strict=False)
            if term.tag == "dt" and said.tag == "dd" and section in {"", term.section}
        ]

    def pair(self, term: str) -> str:
        """What a term is said to be, where the page has it first."""
        for found, said in self.pairs():
            if found == term:
                return said
        raise DemoFailed(f"the page doesn't say {term}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get"), given.get("id", "")))
        elif tag == "input" and self.forms:
            self.forms[-1].fields[given.get("name", "")] = given.get("value", "")
        elif tag == "button" and "form" in given:
            self._elsewhere.append((given["form"], (given.get("name", ""), given.get("value", ""))))
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append((given.get("name", ""), given.get("value", "")))
        elif tag == "a":
            self.links.append(given.get("href", ""))
        elif tag == "section":
            self._section = given.get("aria-labelledby", "")
        elif tag in _BLOCKS:
            for around in self._open:
                around.holds_others = True
            self._open.append(Block(self._section, tag))
            self.blocks.append(self._open[-1])

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self._section = ""
        elif tag in _BLOCKS and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            block = self._open[-1]
            block.text = f"{block.text}{data}".strip("\n")


class Person:
    """Goes from page to page, and presses buttons. The server is on this machine: no proxy stands between."""

    def __init__(self, origin: str) -> None:
        self._browser = httpx.Client(follow_redirects=False, trust_env=False)
        self._origin = origin
        self._url = origin
        self.page = Page("")

    def visit(self, url: str) -> str:
        """Opens ``url`` (absolute, or a path) and follows redirects; gives the address where that ends."""
        return self._follow(self._browser.get(urljoin(self._origin, url)))

    def download(self, path: str) -> bytes:
        """What a link of the page leads to, kept as it is."""
        response = self._browser.get(urljoin(self._origin, path))
        response.raise_for_status()
        return response.content

    def press(self, name: str, value: str, *, at: str = "") -> str:
        """Presses the button ``name=value`` of the first form whose action ends with ``at``, as :meth:`visit`."""
        for form in self.page.forms:
            if form.action.endswith(at) and (name, value) in form.buttons:
                fields = {**form.fields, **({name: value} if name else {})}
                return self._follow(self._browser.request(form.method, urljoin(self._url, form.action), data=fields))
        raise DemoFailed(f"{self._url} has no button {name}={value}")

    def _follow(self, response: httpx.Response) -> str:
        while response.is_redirect:
            address = urljoin(str(response.url), response.headers["location"])
            if not address.startswith(self._origin + "/"):
                return address
            response = self._browser.get(address)
        response.raise_for_status()
        self._url = str(response.url)
        self.page = Page(response.text)
        return self._url

    def close(self) -> None:
        self._browser.close()
