"""What `tests/bench/bench_webhooks.py` shows at length, in short: nothing is lost, whoever fails and dies."""

from pathlib import Path

import pytest

from survival import survive
from unreliable_receiver import UnreliableReceiver


@pytest.mark.parametrize("order", ["instance", "chat"])
def test_nothing_is_lost_nor_out_of_order_whatever_the_receiver_does_and_however_often_the_manager_is_killed(
    tmp_path: Path, order: str
) -> None:
    receiver = UnreliableReceiver(7, chance=0.002, hang_s=2.0, away_every_s=1.5, away_s=0.3).start()
    found = survive(
        tmp_path,
        receiver,
        instances=3,
        messages=200,
        kills=3,
        life_s=(0.2, 1.2),
        unwell_s=3,
        patience_s=300,
        seed=7,
        order=order,
    )
    assert found.events == 600
    assert (found.lost, found.strangers, found.disordered) == (0, 0, 0)
    assert found.kills > 0
