"""A PgBouncer of the tests' own, as deploy/pgbouncer.ini has it, before the tests' PostgreSQL."""

import configparser
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict

from postgres_server import PostgresServer
from waiting import wait_until

NOT_RUN = "PgBouncer was NOT tested: it is not on this machine (Debian: apt install pgbouncer)."

RECIPE = Path(__file__).resolve().parents[2] / "deploy" / "pgbouncer.ini"
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class PgBouncer:
    """Listens on a socket in its own directory, for the sessions of one database."""

    def __init__(
        self, server: PostgresServer, database: str, *, pool_size: int, search_path: str | None = None
    ) -> None:
        """`search_path`: another than the recipe's."""
        assert PROGRAM is not None, NOT_RUN
        self._program = PROGRAM
        self._user = server.user
        self._directory = Path(tempfile.mkdtemp(prefix="pool-", dir="/tmp"))
        recipe = configparser.ConfigParser(interpolation=None)
        recipe.read(RECIPE)
        line = recipe["databases"]["sessions"]
        for recipes, ours in {
            "host=postgres": f"host={server.host} user=postgres",
            "dbname=postgres": f"dbname={conninfo_to_dict(database)['dbname']}",
            "pool_size=12": f"pool_size={pool_size}",
            **({"chatbot_erp_sessions": search_path} if search_path else {}),
        }.items():
            assert recipes in line
            line = line.replace(recipes, ours)
        recipe["databases"]["sessions"] = line
        recipe["pgbouncer"].update(listen_addr="", unix_socket_dir=str(self._directory), auth_type="any")
        del recipe["pgbouncer"]["auth_file"]
        with (self._directory / "pgbouncer.ini").open("w") as file:
            recipe.write(file)
        if self._user is not None:
            shutil.chown(self._directory, self._user)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/sessions?host={self._directory}&port=6432"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self._directory / "log").read_text()

    def start(self) -> None:
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-q", str(self._directory / "pgbouncer.ini")], user=self._user, stdout=log, stderr=log
            )
        wait_until(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with socket.socket(socket.AF_UNIX) as line:
            return line.connect_ex(str(self._directory / ".s.PGSQL.6432")) == 0

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._directory)
