"""What becomes of instances between two lives of the manager."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pykka

from chatbot_erp.actors.alarms import Alarms
from chatbot_erp.actors.commands import CreateInstance, RemoveInstance
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.directory import Directory
from chatbot_erp.actors.endpoint import ConfigureEndpoint, RemoveEndpoint
from chatbot_erp.actors.house import House
from chatbot_erp.actors.lives import Lives
from chatbot_erp.actors.webhook_credentials import Credentials
from chatbot_erp.eventstore.records import MAIN
from chatbot_erp.eventstore.store import EventStore
from chatbot_erp.eventstore.vault import Vault
from webhook_world import wait_until


class Nobody(pykka.ThreadingActor):
    """Stands where the supervisor would, and does nothing of what it would do."""

    use_daemon_thread = True

    def on_receive(self, message: object) -> None:
        """Nothing follows."""


def house_in(directory: Path, store: EventStore, vault: Vault, alarms: Alarms) -> House:
    return House(
        config=Config(data_dir=directory),
        store=store,
        vault=vault,
        directory=Directory(),
        alarms=alarms,
        supervisor=Nobody.start(),
    )


def create(house: House, lives: Lives, instance: str) -> pykka.ActorRef[Any]:
    """An instance with two endpoints, to which nothing is posted."""
    actor = lives.start(instance, instance, None, 0)
    actor.ask(CreateInstance(name=instance, webhook_url="http://127.0.0.1:9/", session_from=None))
    for endpoint in (MAIN, "crm"):
        credentials = Credentials(house.vault, instance, endpoint)
        credentials.make()
        credentials.rotate("whsec_" + "A" * 32, datetime.now(UTC))
        credentials.keep_headers({"X-Token": "token"})
        actor.ask(ConfigureEndpoint(endpoint=endpoint, url="http://127.0.0.1:9/", paused=True))
    return actor


def test_what_is_secret_about_what_was_removed_is_forgotten_by_the_next_life_at_the_latest(
    tmp_path: Path, alarms: Alarms
) -> None:
    """The last one ended after the removal, and before it had forgotten."""
    with EventStore.open(tmp_path) as store:
        vault = Vault.open(tmp_path)
        house = house_in(tmp_path, store, vault, alarms)
        former = Lives(house)
        stays, gone = create(house, former, "stays"), create(house, former, "gone")
        stays.ask(RemoveEndpoint(endpoint="crm"))
        gone.ask(RemoveInstance(unlink=True))
        Credentials(vault, "in-the-making", MAIN).make()
        wait_until(lambda: {head.stream for head in store.open_streams()} == {"stays"})
        former.stop_webhooks()
        former.stop_all(time.monotonic() + 60)
        lives = Lives(house_in(tmp_path, store, vault, alarms))
        lives.restore()
        kept = {kind: set(vault.all(kind)) for kind in ("webhook", "webhook_former", "webhook_headers")}
        assert kept == {
            "webhook": {"stays", "in-the-making"},
            "webhook_former": {"stays"},
            "webhook_headers": {"stays"},
        }
        lives.stop_webhooks()
        lives.stop_all(time.monotonic() + 60)
        vault.close()
