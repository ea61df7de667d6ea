"""Every knob, with its default and its unit. The command line and `CHATBOT_ERP_<OPTION>` fill it (main.py)."""

import socket
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import msgspec

from chatbot_erp.eventstore.lease import LEASE_S


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """How this manager runs."""

    host: str = "127.0.0.1"
    port: int = 3000
    data_dir: Path = Path("data")
    database: str | None = None
    sessions: Literal["files", "database"] = "files"
    sessions_pool: str | None = None
    api_key: str | None = None
    sanity_ping: bool = True
    numbers_per_host: int = 8
    starts_per_s: float = 25.0
    qr_attempts: int = 1
    qr_timeout_s: float = 180.0
    host_memory_bytes: int = 512 << 20
    host_descriptors: int = 768
    webhook_timeout_s: float = 15.0
    webhook_retry_for_s: float = 76 * 3600.0
    webhook_deny: tuple[str, ...] = ()
    send_timeout_s: float = 90.0
    default_region: str | None = None
    media_keep_days: float = 0.0
    media_keep_max_bytes: int = 100 << 20
    disk_spare_bytes: int = 512 << 20
    content_keep_days: int = 0
    media_max_bytes: int = 100 << 20
    http_threads: int = 48
    share: bool = False
    advertise: str | None = None
    lease_s: float = LEASE_S
    node: str = msgspec.field(default_factory=socket.gethostname)

    def __repr__(self) -> str:
        return f"Config(host={self.host!r}, port={self.port}, data_dir={str(self.data_dir)!r})"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
