"""A platform for your own tests, without network: see :class:`FakeXinyi`.

With pytest, the fixture ``fake_xinyi`` is there as soon as this package is installed, and clients that your program
makes during the test reach it::

    def test_no_deposit_for_who_meets_the_criteria(fake_xinyi):
        consent = fake_xinyi.consent("bike-deposit", "met")
        assert my_app.deposit(consent.id) == 0

Elsewhere: ``with FakeXinyi().installed(): …``, or ``FakeXinyi().client()``.
"""

from ._server import AskedCheck, FakeXinyi

__all__ = ["AskedCheck", "FakeXinyi"]
