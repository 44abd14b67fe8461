"""The page of the modules is current: each has its test, and each test passed."""

from tests.security.fapi2.plan import MODULES, PAGE, Plan, test_name
from tests.security.fapi2.table import rendered, tests


def test_each_module_of_the_plans_has_its_test_and_each_test_its_module():
    wanted = {test_name(module): plans == (Plan.CODE, Plan.CREDENTIALS) for module, plans in MODULES.items()}
    assert {name: both for name, (_, both) in tests().items()} == wanted
    assert (len(wanted), sum(wanted.values())) == (51, 14)


def test_the_page_is_what_a_run_in_which_all_pass_writes():
    """Otherwise: ``make fapi2``."""
    assert PAGE.read_text("utf-8") == rendered(dict.fromkeys(tests(), "passed"))
