"""A person at a browser, reduced to what the pages need: links, forms and cookies."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx


@dataclass
class Form:
    """A form of a page, with its hidden fields and its buttons by ``(name, value)``."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Page(HTMLParser):
    """The forms and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get")))
        elif tag == "input" and self.forms:
            self.forms[-1].fields[given.get("name", "")] = given.get("value", "")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append((given.get("name", ""), given.get("value", "")))

    def handle_data(self, data: str) -> None:
        if text := data.strip():
            self.words.append(text)


class Person:
    """Goes from page to page, and presses buttons."""

    def __init__(self, origin: str) -> None:
        self._browser = httpx.Client(follow_redirects=False)
        self._origin = origin
        self._url = origin
        self.page = Page("")

    def visit(self, url: str) -> str:
        """Opens ``url`` (absolute, or a path) and follows redirects; gives the address where that ends."""
        return self._follow(self._browser.get(urljoin(self._origin, url)))

    def press(self, name: str, value: str, *, at: str = "") -> str:
        """Presses the button ``name=value`` of the first form whose action ends with ``at``, as :meth:`visit`."""
        for form in self.page.forms:
            if form.action.endswith(at) and (name, value) in form.buttons:
                fields = {**form.fields, **({name: value} if name else {})}
                return self._follow(self._browser.request(form.method, urljoin(self._url, form.action), data=fields))
        raise LookupError(f"the page has no button {name}={value}")

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
