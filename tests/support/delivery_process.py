"""Instances without sockets: messages come in as if a host had said them, are stored and delivered. Run by path.

    python delivery_process.py DIRECTORY URL INSTANCES MESSAGES RATE AHEAD ORDER

It brings back what the log knows and feeds on from there until each instance has had its MESSAGES; a kill at any moment
loses none, as the natural key of a message removes what is fed twice. RATE is messages a second over all, 0 as many as
are taken. Before them the first instance has AHEAD more, and then it says `ahead`. When nothing waits any more it says
`drained`. ORDER is that of the endpoints. A line on its standard input ends it in order.
"""

import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pykka

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.commands import CreateInstance, Observed
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory
from chatbot_erp.actors.endpoint import ConfigureEndpoint, Order
from chatbot_erp.actors.house import House
from chatbot_erp.actors.lives import Lives
from chatbot_erp.actors.logs import configure_logs
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault

UNCONFIRMED = 64
CHATS = 7


class Nobody(pykka.ThreadingActor):
    """Stands where the supervisor would: no socket is ever made."""

    use_daemon_thread = True

    def on_receive(self, message: object) -> None:
        """Nothing follows."""


class Host:
    """Says what comes in, and holds back while too much of it is unconfirmed."""

    def __init__(self, instance: str, actor: pykka.ActorRef[Any]) -> None:
        self._instance = instance
        self._actor = actor
        self._said = 0
        self._confirmed = 0
        self._changed = threading.Condition()

    def order(self, order: frames.Order, /) -> None:
        if isinstance(order, frames.Confirm):
            with self._changed:
                self._confirmed = order.number
                self._changed.notify_all()

    def say(self, number: int) -> None:
        """Message `number` comes in."""
        with self._changed:
            self._changed.wait_for(lambda: self._said - self._confirmed < UNCONFIRMED)
        self._said += 1
        now = datetime.now(UTC)
        seen = frames.SocketReceived(
            message_id=f"M{number}",
            jid=f"{number % CHATS}@lid",
            jid_alt=None,
            participant=None,
            push_name="Ana",
            kind="text",
            text=f"m{number} {time.time()}",
            sent_at=now,
            raw='{"conversation":"m"}',
        )
        observed = Observed(generation=1, observation=seen, at=now)
        self._actor.tell(tidings.Heard(observed=observed, number=self._said, oldest=self._confirmed + 1, host=self))


def main(directory: Path, url: str, instances: int, messages: int, rate: float, ahead: int, order: Order) -> None:
    configure_logs()
    store, vault, alarms = EventStore.open(directory), Vault.open(directory), Alarms().start()
    house = House(
        config=Config(data_dir=directory, webhook_timeout_s=1.0),
        store=store,
        vault=vault,
        directory=Directory(),
        alarms=alarms,
        supervisor=Nobody.start(),
    )
    lives = Lives(house)
    lives.restore()
    hosts = {}
    for index in range(instances):
        instance = f"i{index}"
        actor = house.directory.actor(instance) or lives.start(instance, f"n{index}", None, 0)
        if not house.directory.endpoints(instance):
            Credentials(vault, instance, MAIN).make()
            actor.ask(CreateInstance(name=f"n{index}", webhook_url=f"{url}/{instance}", session_from=None))
            actor.ask(ConfigureEndpoint(endpoint=MAIN, order=order))
        hosts[instance] = Host(instance, actor)
    print("ready", flush=True)
    threading.Thread(target=feed, args=(store, hosts, messages, rate, ahead), daemon=True).start()
    sys.stdin.readline()
    lives.stop_webhooks()
    lives.stop_all(time.monotonic() + 5)
    store.close()


def feed(store: EventStore, hosts: dict[str, Host], messages: int, rate: float, ahead: int) -> None:
    """Everything that is told is a message, so the last sequence is how many there have been."""
    done = {instance: store.standing(instance).sequence for instance in hosts}
    first = next(iter(hosts))
    for number in range(done[first], ahead):
        hosts[first].say(number)
    print("ahead", flush=True)
    begun, said = time.monotonic(), 0
    for number in range(messages):
        for instance, host in hosts.items():
            place = number + ahead if instance == first else number
            if place < done[instance]:
                continue
            if rate and (early := said / rate - (time.monotonic() - begun)) > 0:
                time.sleep(early)
            host.say(place)
            said += 1
    while any((standing := store.standing(each)).waiting or standing.sequence < messages for each in hosts):
        time.sleep(0.2)
    print("drained", flush=True)


if __name__ == "__main__":
    _, place, where, count, each, pace, before, kept = sys.argv
    main(Path(place), where, int(count), int(each), float(pace), int(before), "chat" if kept == "chat" else "instance")
