"""``python -m tests.law``: writes docs/reference/law.md."""

from tests.law.table import PAGE, page

PAGE.write_text(page(), "utf-8")
