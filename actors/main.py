"""The command line. Rooms are imported where they are used, so that a socket host does not load them."""

import sys
from pathlib import Path
from socket import gethostname
from typing import Literal
from urllib.parse import urlsplit

import click

from chatbot_erp.actors.config import Config, is_loopback
from chatbot_erp.actors.options import Finite, data_dir, database, default_region, option
from chatbot_erp.actors.tools import COMMANDS


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chatbot-erp")
def main() -> None:
    """Keep WhatsApp numbers connected: send over REST, hear by webhook."""


@main.command()
@option("--host", default=Config().host, help="Where to listen; beyond loopback an API key is required.")
@option("--port", default=Config().port, type=click.IntRange(0, 65535), help="0 picks a free port.")
@data_dir
@database
@option(
    "--sessions",
    default=None,
    metavar="files|database|URL",
    help="Where new numbers keep their WhatsApp session; default: `database` with --database, else `files`."
    " postgresql://…: in the database, by way of the pool at this address (PgBouncer).",
)
@option("--api-key", default=None, help="What callers must show (Authorization: Bearer KEY, or X-API-Key).")
@option("--sanity-ping/--no-sanity-ping", default=True, help="Send `ping` to oneself when a connection opens.")
@option(
    "--numbers-per-host",
    default=Config().numbers_per_host,
    type=click.IntRange(1, 1000),
    help="Numbers that share one socket process; 1: a crash can hit one number only.",
)
@option(
    "--starts-per-second",
    default=Config().starts_per_s,
    type=Finite(0.1, 1000),
    help="Sockets opened a second, when many are wanted at once.",
)
@option(
    "--qr-attempts",
    default=Config().qr_attempts,
    type=click.IntRange(0),
    help="Times a number shows codes that nobody scans before somebody must ask for more; 0: no end.",
)
@option(
    "--qr-timeout",
    default=Config().qr_timeout_s,
    type=Finite(1, 3600),
    help="Seconds one such time may take; WhatsApp's own limit is 160.",
)
@option(
    "--host-memory",
    default=Config().host_memory_bytes >> 20,
    type=click.IntRange(1),
    help="MiB above which a socket process is replaced, one number after another.",
)
@option(
    "--host-descriptors",
    default=Config().host_descriptors,
    type=click.IntRange(1),
    help="File descriptors above which it is, too.",
)
@option("--webhook-timeout", default=15.0, type=Finite(0.1, 300), help="Seconds for one attempt in all.")
@option("--webhook-retry-for", default=76.0, type=Finite(0.001, 87_600), help="Hours an event is retried.")
@option(
    "--webhook-deny",
    multiple=True,
    help="Networks no webhook may reach, repeatable (in the environment with spaces between); `private`: also RFC 1918 and loopback.",
)
@default_region
@option(
    "--media-keep-days",
    default=0.0,
    type=Finite(0, 3650),
    help="Fetch the files of messages as they come, and keep them for so long.  0: only when they are asked for.",
)
@option(
    "--media-keep-max-mib",
    default=Config().media_keep_max_bytes >> 20,
    type=click.IntRange(1, 2048),
    help="MiB that a file may have to be fetched as it comes; larger ones only when they are asked for.",
)
@option(
    "--disk-spare-mib",
    default=Config().disk_spare_bytes >> 20,
    type=click.IntRange(0),
    help="MiB of the disk that files of messages leave free: none is fetched into them.",
)
@option(
    "--content-keep-days",
    default=0,
    type=click.IntRange(0, 36500),
    help="Days after which nobody can read any more what was said.  0: it is kept.",
)
@option(
    "--media-max-mib",
    default=Config().media_max_bytes >> 20,
    type=click.IntRange(1, 2048),
    help="MiB that a file to be sent may have.",
)
@option("--http-threads", default=Config().http_threads, type=click.IntRange(4), help="Requests answered at once.")
@option("--node", default=None, help="This manager's name.  [default: the host name]")
@option(
    "--share/--no-share",
    default=False,
    help="Share the numbers of the --database with other nodes, and take over from those that end or die.",
)
@option(
    "--advertise", default=None, metavar="URL", help="Where other nodes reach this one.  [default: http://HOST:PORT]"
)
@option(
    "--lease",
    default=Config().lease_s,
    type=Finite(5, 3600),
    help="Seconds that other nodes wait for one that falls silent, before they take what it has.",
)
@option("--sandbox", is_flag=True, help="Use the built-in WhatsApp network on loopback: no phone, no internet.")
@option("--sandbox-network", default=None, help="Control address of a sandbox network that runs already.")
def serve(
    *,
    host: str,
    port: int,
    data_dir: Path,
    database: str | None,
    sessions: str | None,
    api_key: str | None,
    sanity_ping: bool,
    numbers_per_host: int,
    starts_per_second: float,
    qr_attempts: int,
    qr_timeout: float,
    host_memory: int,
    host_descriptors: int,
    webhook_timeout: float,
    webhook_retry_for: float,
    webhook_deny: tuple[str, ...],
    default_region: str | None,
    media_keep_days: float,
    media_keep_max_mib: int,
    disk_spare_mib: int,
    content_keep_days: int,
    media_max_mib: int,
    http_threads: int,
    node: str | None,
    share: bool,
    advertise: str | None,
    lease: float,
    sandbox: bool,
    sandbox_network: str | None,
) -> None:
    """Run the manager until SIGTERM or Ctrl-C."""
    if not is_loopback(host) and not api_key and not _has_keys(database or data_dir):
        raise click.UsageError(
            f"{host} can be reached by others: set --api-key (CHATBOT_ERP_API_KEY), or make a key with"
            f" `chatbot-erp keys create --data-dir {data_dir} --scope manage`."
        )
    if api_key and api_key.strip() != api_key:
        raise click.UsageError("--api-key begins or ends with space, which no header can carry: nobody could show it.")
    kept, pool = _sessions(sessions, database)
    config = Config(
        host=host,
        port=port,
        data_dir=data_dir,
        database=database,
        sessions=kept,
        sessions_pool=pool,
        api_key=api_key or None,
        sanity_ping=sanity_ping,
        numbers_per_host=numbers_per_host,
        starts_per_s=starts_per_second,
        qr_attempts=qr_attempts,
        qr_timeout_s=qr_timeout,
        host_memory_bytes=host_memory << 20,
        host_descriptors=host_descriptors,
        webhook_timeout_s=webhook_timeout,
        webhook_retry_for_s=webhook_retry_for * 3600,
        webhook_deny=webhook_deny,
        default_region=default_region,
        media_keep_days=media_keep_days,
        media_keep_max_bytes=media_keep_max_mib << 20,
        disk_spare_bytes=disk_spare_mib << 20,
        content_keep_days=content_keep_days,
        media_max_bytes=media_max_mib << 20,
        http_threads=http_threads,
        node=node or gethostname(),
        share=share,
        advertise=advertise.rstrip("/") if advertise else None,
        lease_s=lease,
    )
    if share and sandbox:
        raise click.UsageError("Nodes share a network: start one elsewhere and give all of them its --sandbox-network.")
    if share:
        _check_company(config)
    from chatbot_erp.actors.serve import run
    from chatbot_erp.actors.webhook_address import Deny

    try:
        Deny.of(webhook_deny)
    except ValueError as ex:
        raise click.UsageError(f"--webhook-deny: {ex}") from ex

    sys.exit(run(config, sandbox=sandbox, sandbox_network=sandbox_network))


def _sessions(asked: str | None, database: str | None) -> tuple[Literal["files", "database"], str | None]:
    """Where sessions are kept, and the address of the pool by whose way. Raises `click.UsageError`."""
    if asked == "files" or not (asked or database):
        return "files", None
    if not database:
        raise click.UsageError("--sessions needs a --database, unless it is `files`.")
    if not asked or asked == "database":
        return "database", None
    if not asked.startswith(("postgresql://", "postgres://")):
        raise click.UsageError("--sessions is `files`, `database` or the address of a pool, postgresql://….")
    return "database", asked


def _check_company(config: Config) -> None:
    """Raises `click.UsageError` for a node that others could not take over from, or not reach, or not trust."""
    if not config.database:
        raise click.UsageError("--share needs a --database that the nodes share.")
    if config.sessions == "files":
        raise click.UsageError("--share needs WhatsApp sessions where every node finds them: --sessions database.")
    try:
        address = urlsplit(config.advertise) if config.advertise else None
        reached_at = config.host if address is None else address.port != 0 and address.hostname or ""
    except ValueError:
        reached_at = ""
    if config.advertise and not (config.advertise.startswith(("http://", "https://")) and reached_at):
        raise click.UsageError("--advertise is an address such as http://10.0.0.5:3000.")
    if reached_at in ("0.0.0.0", "::", ""):
        raise click.UsageError(f"No node can call {config.host}: say --advertise.")
    if not is_loopback(reached_at) and not config.api_key and not _has_keys(config.database):
        raise click.UsageError(f"{reached_at} can be reached by others: set --api-key, the same for all nodes.")


def _has_keys(place: Path | str) -> bool:
    from chatbot_erp.actors.key_commands import has_keys
    from chatbot_erp.actors.log_commands import reporting

    return bool(reporting(lambda: has_keys(place)))


for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
