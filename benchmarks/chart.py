"""Bars and lines as SVG, drawn by hand: two small charts don't need a library for plotting."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

_WIDTH: Final = 760
_LEFT: Final = 150
_BAR: Final = 26
_STYLE: Final = (
    "<style>text{font:13px system-ui,sans-serif;fill:#24292f}.n{font-weight:600}.d{fill:#57606a}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.d{fill:#9198a1}}</style>"
)
_COLOURS: Final = ("#0b6e4f", "#3d7ea6", "#b85c00")


def bars(file: Path, title: str, values: Mapping[str, float], notes: Mapping[str, str], marked: Sequence[str]) -> None:
    """A bar for each value, with its note behind; those that are ``marked`` stand out."""
    most = max(values.values())
    room = _WIDTH - _LEFT - 250

    def drawn() -> Iterator[str]:
        for number, (name, value) in enumerate(values.items()):
            top = 44 + number * (_BAR + 8)
            length = max(1.0, room * value / most)
            colour = _COLOURS[0] if name in marked else "#8c959f"
            yield f'<text x="{_LEFT - 8}" y="{top + 18}" text-anchor="end">{escape(name)}</text>'
            yield f'<rect x="{_LEFT}" y="{top}" width="{length:.1f}" height="{_BAR}" rx="3" fill="{colour}"/>'
            yield f'<text class="d" x="{_LEFT + length + 8:.1f}" y="{top + 18}">{escape(notes[name])}</text>'

    _write(file, title, 52 + len(values) * (_BAR + 8), drawn())


def lines(file: Path, title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str) -> None:
    """A line for each series over the ``labels``, from 0 up."""
    height, top, bottom = 300, 60, 250
    most = 1.15 * max(max(values) for values in series.values())
    across = (_WIDTH - _LEFT - 180) / max(1, len(labels) - 1)

    def place(number: int, value: float) -> tuple[float, float]:
        return _LEFT + number * across, bottom - (bottom - top) * value / most

    def drawn() -> Iterator[str]:
        yield f'<line x1="{_LEFT}" y1="{bottom}" x2="{_WIDTH - 180}" y2="{bottom}" stroke="#8c959f"/>'
        for number, label in enumerate(labels):
            x, _ = place(number, 0)
            yield f'<text class="d" x="{x:.1f}" y="{bottom + 22}" text-anchor="middle">{escape(label)}</text>'
        for (name, values), colour in zip(series.items(), _COLOURS, strict=False):
            points = [place(number, value) for number, value in enumerate(values)]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
            for (x, y), value in zip(points, values, strict=True):
                yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
                yield f'<text x="{x:.1f}" y="{y - 10:.1f}" text-anchor="middle">{value:,.0f}</text>'
            x, y = points[-1]
            yield f'<text x="{x + 12:.1f}" y="{y + 5:.1f}" style="fill:{colour}">{escape(name)}</text>'
        yield f'<text class="d" x="{_LEFT - 130}" y="{top}">{escape(unit)}</text>'

    _write(file, title, height, drawn())


def _write(file: Path, title: str, height: int, drawn: Iterator[str]) -> None:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">'
    )
    body = "\n".join((head, _STYLE, f'<text class="n" x="16" y="24">{escape(title)}</text>', *drawn, "</svg>"))
    file.write_text(body + "\n", "utf-8")
