"""What the command line's commands have in common. Loaded by socket hosts too: nothing heavy is imported here."""

from collections.abc import Callable
from functools import wraps
from math import isfinite
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from chatbot_erp.actors.config import Config

Command = Callable[..., Any]

POSITION = click.IntRange(0, 2**63 - 1)
"""Of the log, as far as any store can count."""


class Finite(click.FloatRange):
    """A range of numbers; `nan`, which is below nothing and above nothing, and infinities are in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is no number that can be reckoned with.", param, ctx)
        return number


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


class Region(click.ParamType[Any]):
    """Two letters, in whichever case, of a region whose numbers are known; the empty text is none."""

    name = "region"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | None:
        from phonenumbers import SUPPORTED_REGIONS

        region = value.upper()
        if region and region not in SUPPORTED_REGIONS:
            self.fail(f"{value} is no region of two letters such as BR or PT.", param, ctx)
        return region or None


default_region = option(
    "--default-region",
    default=None,
    type=Region(),
    metavar="REGION",
    help="Where numbers without a country code are dialled, such as BR.  [default: they begin with a country code]",
)

_database = option(
    "--database",
    default=None,
    metavar="URL",
    help="postgresql://…: events, secrets and keys are in this database, not in the data directory.",
)


def database(command: Command) -> Command:
    """`--database`; the empty text is none."""

    @wraps(command)
    def run(database: str | None, **settings: Any) -> Any:
        return command(database=database or None, **settings)

    return _database(run)


def directory_and_database(command: Command) -> Command:
    """`--data-dir` and `--database`, for what shall not act on another log than the one that was meant."""

    @wraps(command)
    def run(database: str | None, **settings: Any) -> Any:
        given = click.get_current_context().get_parameter_source
        if database and (given("data_dir"), given("database")) == (
            ParameterSource.COMMANDLINE,
            ParameterSource.ENVIRONMENT,
        ):
            raise click.UsageError(
                "--data-dir is on the command line and CHATBOT_ERP_DATABASE in the environment, so it is not clear which"
                " log is meant. Say --database '' for the one in the directory; for the one in the database name the"
                " directory in the environment, too (CHATBOT_ERP_DATA_DIR)."
            )
        return command(database=database, **settings)

    return data_dir(database(run))


def place(command: Command) -> Command:
    """`--data-dir` and `--database`, of which the command gets the one that says where the log is."""

    @wraps(command)
    def run(data_dir: Path, database: str | None, **settings: Any) -> Any:
        return command(place=database or data_dir, **settings)

    return directory_and_database(run)


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")
follow = click.option("--follow", "-f", is_flag=True, help="Go on with what is still to come, until Ctrl-C.")


class Moment(click.ParamType[Any]):
    """A time in ISO 8601 or, with `positions`, a position of the log."""

    def __init__(self, *, positions: bool) -> None:
        self._positions = positions
        self.name = "position|time" if positions else "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from chatbot_erp.actors.log_commands import moment

        if self._positions and value.isascii() and value.isdigit():
            return POSITION.convert(value, param, ctx)
        try:
            return moment(value)
        except ValueError:
            also = " (nor a position)" if self._positions else ""
            self.fail(f"{value!r} is no time such as 2026-01-31T14:03{also}.", param, ctx)
