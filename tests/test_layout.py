"""The house itself: what would break quietly if a file stood in the wrong place."""

import configparser
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
ROOMS = {
    name.removeprefix("chatbot_erp."): ROOT / folder
    for name, _, folder in (line.partition(" = ") for line in SETUP["options"]["package_dir"].strip().splitlines())
}


def test_packages_listed_are_the_folders_there_are() -> None:
    listed = {name.removeprefix("chatbot_erp.") for name in SETUP["options"]["packages"].split()}
    folders = {folder.name for folder in ROOT.iterdir() if folder.is_dir() and any(folder.glob("*.py"))}
    assert listed == set(ROOMS) == folders - {"tests", "build"}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_is_flat_typed_and_seen_by_the_type_checker(room: str) -> None:
    folder = ROOMS[room]
    assert not list(folder.rglob("__init__.py"))
    assert not [path for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))]
    assert (folder / "py.typed").exists()
    assert (ROOT / ".ci/typing/chatbot_erp" / room).resolve() == folder


@pytest.mark.parametrize("name", ["client", "server", "cookies", "cookiejar"])
def test_no_file_is_named_like_a_part_of_the_standard_librarys_http(name: str) -> None:
    assert not (ROOMS["http"] / f"{name}.py").exists()


def test_the_standard_librarys_http_is_found_from_the_root() -> None:
    code = "import http, http.client, http.server, sys; print(http.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(found).parent != ROOT / "http"


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(*(f"chatbot_erp.{room}" for room in ROOMS), include_external_packages=True)


def crossing(graph: grimp.ImportGraph, importers: str, imported: str) -> set[tuple[str, str]]:
    """Every import from a module of `importers` (a room or module) of something in `imported`."""
    return {
        (importer, found)
        for importer in graph.modules
        if f"{importer}.".startswith(f"chatbot_erp.{importers}.")
        for found in graph.find_modules_directly_imported_by(importer)
        if f"{found}.".startswith(f"{imported}.")
    }


@pytest.mark.parametrize(
    ("importers", "imported", "exceptions"),
    [
        ("eventstore", "chatbot_erp.actors", set()),
        ("eventstore", "chatbot_erp.http", set()),
        ("actors", "chatbot_erp.http", {("chatbot_erp.actors.serve", "chatbot_erp.http.serving")}),
        ("sandbox", "chatbot_erp.actors", set()),
        ("sandbox", "chatbot_erp.http", set()),
        ("sandbox", "chatbot_erp.eventstore", set()),
        ("http", "chatbot_erp.sandbox", set()),
        ("client", "chatbot_erp.actors", set()),
        ("client", "chatbot_erp.eventstore", set()),
        ("client", "chatbot_erp.http", set()),
        ("client", "chatbot_erp.sandbox", set()),
        (
            "actors",
            "chatbot_erp.client",
            {
                ("chatbot_erp.actors.tools", "chatbot_erp.client.api"),
                ("chatbot_erp.actors.tools", "chatbot_erp.client.commands"),
            },
        ),
        ("eventstore", "chatbot_erp.sandbox", set()),
        (
            "actors",
            "chatbot_erp.sandbox",
            {
                ("chatbot_erp.actors.serve", "chatbot_erp.sandbox.client"),
                ("chatbot_erp.actors.serve", "chatbot_erp.sandbox.playground"),
                ("chatbot_erp.actors.serve", "chatbot_erp.sandbox.trust"),
            },
        ),
        ("http", "neonize", set()),
        ("eventstore", "neonize", set()),
        ("sandbox", "neonize", set()),
        ("eventstore", "pykka", set()),
        ("http", "pykka", set()),
    ],
)
def test_imports_go_one_way(
    imports: grimp.ImportGraph, importers: str, imported: str, exceptions: set[tuple[str, str]]
) -> None:
    assert crossing(imports, importers, imported) == exceptions


def test_only_the_sockets_files_know_the_whatsapp_library(imports: grimp.ImportGraph) -> None:
    knowing = {importer for importer, _ in crossing(imports, "actors", "neonize")}
    assert knowing
    assert all(
        importer.startswith(("chatbot_erp.actors.wa_", "chatbot_erp.actors.host_preload")) for importer in knowing
    )


def test_the_manager_never_loads_the_whatsapp_library() -> None:
    code = (
        "import sys, chatbot_erp.actors.serve, chatbot_erp.http.app, chatbot_erp.http.serving\n"
        "loaded = [name for name in sys.modules if name.split('.')[0] == 'neonize']\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_alone_loads_no_room_that_a_socket_host_has_no_use_for() -> None:
    code = (
        "import sys, chatbot_erp.actors.main\n"
        "heavy = [name for name in ('falcon', 'waitress', 'aiosqlite', 'requests', 'pykka', 'urllib3', 'rich') if name in sys.modules]\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
