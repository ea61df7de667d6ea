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
        webhook_timeout_s=webhook_timeout,
        webhook_retry_for_s=webhook_retry_for * 3600,
        webhook_deny=webhook_deny,
        http_threads=http_threads,
        node=node or gethostname(),
    )
    from chatbot_erp.actors.serve import run

    sys.exit(run(config, sandbox=sandbox, sandbox_network=sandbox_network))


if __name__ == "__main__":
    main()
