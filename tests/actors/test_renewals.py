"""Hosts that hear until when their manager may speak."""

import math
from queue import Queue

from chatbot_erp.actors import frames
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.house import HostGone
from chatbot_erp.actors.renewals import Renewals

PATIENCE_S = 60.0


class Host:
    """Notes what it hears, or is gone."""

    def __init__(self, *, gone: bool = False) -> None:
        self.heard: Queue[float] = Queue()
        self.gone = gone

    def order(self, order: frames.Renew) -> None:
        if self.gone:
            raise HostGone("gone")
        self.heard.put(order.until)


def test_a_host_hears_of_the_lease_at_once_and_of_each_renewal_whatever_became_of_others() -> None:
    alarms = Alarms().start()
    until = [1.0]
    renewals = Renewals(alarms, lambda: until[0])
    dead, host = Host(gone=True), Host()
    renewals.add(dead)
    renewals.add(host)
    assert host.heard.get_nowait() == 1.0
    until[0] = 2.0
    renewals.go_on()
    assert [host.heard.get(timeout=PATIENCE_S) for _ in range(2)] == [2.0, 2.0]
    alarms.stop()


def test_where_nobody_can_take_over_a_host_hears_of_no_end() -> None:
    alarms = Alarms()
    renewals, host = Renewals(alarms, lambda: math.inf), Host()
    renewals.add(host)
    renewals.go_on()
    assert host.heard.empty()
