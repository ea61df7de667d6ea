"""What nobody may ever read: not on disk, not in a log, not in an error."""

from collections.abc import Callable

from chatbot_erp.sandbox.client import Phone
from manager_process import ManagerProcess
from receiver import Receiver
from stores import everything


def test_a_qr_and_the_webhook_secret_are_found_nowhere_after_a_pairing(
    manager: ManagerProcess, receiver: Receiver, new_phone: Callable[[str], Phone]
) -> None:
    phone = new_phone("Empresa X")
    created = manager.create("empresa_x", receiver.url())
    view = manager.wait_until("empresa_x", lambda view: view["qr"] is not None)
    manager.call("GET", "/instances/empresa_x/qr")
    phone.scan(view["qr"])
    manager.wait_connected("empresa_x")
    assert manager.terminate() == 0

    reference, *keys = view["qr"].split("#")[1].split(",")
    advertised_secret = keys[2]
    everywhere = everything(manager, manager.data_dir.parent)
    assert {path.name for path in everywhere} & {"events", "events.db"}
    for secret in (view["qr"], reference):
        assert not [path for path, content in everywhere.items() if secret.encode() in content]
    # The pairing keys belong into the session, and the signing secret into the key file: nowhere else.
    sessions, keys = {"sessions", "chatbot_erp_sessions"}, {"keys.db", "chatbot_erp_keys"}
    for secret, homes in ((advertised_secret, sessions), (created["webhookSecret"], keys)):
        found = [path for path, content in everywhere.items() if secret.encode() in content]
        assert [path for path in found if not homes & {path.name, path.parent.name}] == []
    for delivery in receiver.deliveries():
        assert view["qr"].encode() not in delivery.body
        assert created["webhookSecret"].encode() not in delivery.body


def test_the_data_directory_is_for_its_owner_only(manager: ManagerProcess) -> None:
    manager.create("empresa_x")
    manager.wait_until("empresa_x", lambda view: view["qr"] is not None)
    assert manager.data_dir.stat().st_mode & 0o777 == 0o700
    for path in manager.data_dir.rglob("*"):
        open_to_others = path.stat().st_mode & 0o077
        assert not open_to_others or path.parent != manager.data_dir, f"{path} can be read by others"
