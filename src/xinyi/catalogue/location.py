"""Where the record types and scenarios lie that come with the product."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def scenarios_dir() -> Path:
    """The folder with ``record-types/``, ``incentives/`` and ``behaviours.yaml``.

    Inside the package when it was installed from a wheel; ``scenarios/`` of the repository otherwise.
    """
    packaged = _PACKAGE / "_scenarios"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "scenarios"
