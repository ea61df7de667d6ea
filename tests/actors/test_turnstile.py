"""How many callers may wait for files at once."""

import pytest

from chatbot_erp.actors.errors import Unavailable
from chatbot_erp.actors.turnstile import Turnstile


def test_one_instance_does_not_take_all_places_and_all_together_no_more_than_there_are() -> None:
    turnstile = Turnstile(most=3, most_of_one=2, refusal="Later.")
    with turnstile.passed("a"), turnstile.passed("a"):
        with pytest.raises(Unavailable, match="Later"), turnstile.passed("a"):
            pass
        with turnstile.passed("b"), pytest.raises(Unavailable), turnstile.passed("c"):
            pass
    with turnstile.passed("a"), turnstile.passed("b"), turnstile.passed("c"):
        pass
