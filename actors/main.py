"""The command line. Rooms are imported where they are used, so that a socket host does not load them."""

import sys
from collections.abc import Callable
from pathlib import Path
from socket import gethostname
from typing import Any

import click

from chatbot_erp.actors.config import Config, is_loopback

Command = Callable[..., Any]


def option(name: str, **settings: Any) -> Callable[[Command], Command]:
    """A command line option that is also the environment variable `CHATBOT_ERP_<OPTION>`."""
    variable = "CHATBOT_ERP_" + name.split("/")[0].strip().removeprefix("--").replace("-", "_").upper()
    return click.option(name, envvar=variable, show_envvar=True, **settings)


data_dir = option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Config().data_dir,
    show_default=True,
    help="Event log, sessions, spool. Made with mode 0700; one manager at a time.",
)


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chatbot-erp")
def main() -> None:
    """Keep WhatsApp numbers connected: send over REST, hear by webhook."""


@main.command()
@option("--host", default=Config().host, help="Where to listen; beyond loopback an API key is required.")
@option("--port", default=Config().port, type=click.IntRange(0, 65535), help="0 picks a free port.")
@data_dir
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
    type=click.FloatRange(0.1, 1000),
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
    type=click.FloatRange(1),
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
@option("--webhook-timeout", default=15.0, type=click.FloatRange(0.1, 300), help="Seconds for one attempt in all.")
@option("--webhook-retry-for", default=76.0, type=click.FloatRange(0.001), help="Hours an event is retried.")
@option("--webhook-deny", multiple=True, help="Networks no webhook may reach; `private`: also RFC 1918 and loopback.")
@option("--http-threads", default=Config().http_threads, type=click.IntRange(4), help="Requests answered at once.")
@option("--node", default=None, help="This manager's name.  [default: the host name]")
@option("--sandbox", is_flag=True, help="Use the built-in WhatsApp network on loopback: no phone, no internet.")
@option("--sandbox-network", default=None, help="Control address of a sandbox network that runs already.")
def serve(
    *,
    host: str,
    port: int,
    data_dir: Path,
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
    http_threads: int,
    node: str | None,
    sandbox: bool,
    sandbox_network: str | None,
) -> None:
    """Run the manager until SIGTERM or Ctrl-C."""
    if not is_loopback(host) and not api_key:
        raise click.UsageError(f"{host} can be reached by others: set --api-key (CHATBOT_ERP_API_KEY).")
    config = Config(
        host=host,
        port=port,
        data_dir=data_dir,
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
        http_threads=http_threads,
        node=node or gethostname(),
    )
    from chatbot_erp.actors.serve import run
    from chatbot_erp.actors.webhook_address import Deny

    try:
        Deny.of(webhook_deny)
    except ValueError as ex:
        raise click.UsageError(f"--webhook-deny: {ex}") from ex

    sys.exit(run(config, sandbox=sandbox, sandbox_network=sandbox_network))


class Moment(click.ParamType[Any]):
    """A position of the log, or a time in ISO 8601."""

    name = "position|time"

    def __init__(self, *, positions: bool) -> None:
        self._positions = positions

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from chatbot_erp.actors.log_commands import moment

        if self._positions and value.isascii() and value.isdigit():
            return int(value)
        try:
            return moment(value)
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-01-31T14:03 (nor a position).", param, ctx)


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")
follow = click.option("--follow", "-f", is_flag=True, help="Go on with what is still to come, until Ctrl-C.")


@main.command()
@data_dir
@click.option("--instance", "-i", help="Only this instance (its name or id).")
@click.option("--type", "-t", "types", multiple=True, help="Only this event type; may be repeated.")
@click.option("--since", type=Moment(positions=False), help="Only what was recorded from this time on.")
@click.option("--until", type=Moment(positions=False), help="Only what was recorded until this time.")
@click.option("--message-id", help="Only what has to do with this message.")
@click.option("--after", default=0, type=click.IntRange(0), help="Only what stands after this position.")
@click.option("--limit", "-n", type=click.IntRange(1), help="Stop after so many.")
@follow
@as_json
def events(**settings: Any) -> None:
    """Print what has happened, from the log of a running or a stopped manager."""
    from chatbot_erp.actors.log_commands import reporting, show_events

    reporting(lambda: show_events(**settings))


@main.command()
@click.argument("name")
@data_dir
@click.option("--at", type=Moment(positions=True), help="A position of the log, or a time in ISO 8601.  [default: now]")
@follow
@as_json
def replay(**settings: Any) -> None:
    """Show an instance and the fate of its messages as they were at a moment, folded from the log."""
    from chatbot_erp.actors.log_commands import reporting, show_replay

    reporting(lambda: show_replay(**settings))


@main.command()
@data_dir
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A signed checkpoint that was kept elsewhere, as JSON.",
)
@as_json
def verify(**settings: Any) -> None:
    """Check that nobody changed, removed or inserted an event. Exit code 1 and the first position if so."""
    from chatbot_erp.actors.log_commands import reporting, show_verdict

    sys.exit(0 if reporting(lambda: show_verdict(**settings)) else 1)


if __name__ == "__main__":
    main()
