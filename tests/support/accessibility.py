"""The accessibility rules of axe-core (WCAG 2.2 A and AA), run inside a page."""

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).resolve().parents[2] / "tools" / "node" / "node_modules" / "axe-core" / "axe.min.js"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def accessibility_faults(page: Page) -> list[str]:
    """One line for each element that breaks a rule: the rule, the element, what is wrong."""
    page.wait_for_load_state()
    # Evaluated rather than added as a script element, which the page's own content security policy would refuse.
    page.evaluate(AXE.read_text("utf-8"))
    violations = page.evaluate("rules => axe.run(rules).then(result => result.violations)", RULES)
    return [
        f"{violation['id']}: {' '.join(node['target'])}: {node['failureSummary']}"
        for violation in violations
        for node in violation["nodes"]
    ]
