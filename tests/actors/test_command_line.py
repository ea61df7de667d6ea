"""The command line as programs and shells use it."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from chatbot_erp.actors.main import main
from chatbot_erp.eventstore.errors import LogTooNew
from chatbot_erp.eventstore.events import Ack, Event, MessageAccepted, MessageAcknowledged, MessageSent, PingSent
from chatbot_erp.eventstore.places import MOVED, open_store
from chatbot_erp.eventstore.store import EventStore, NewEvent
from erasing_world import HER, HIM, message, tell

PATIENCE_S = 60.0


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands(main))


def lines(*words: str) -> list[dict[str, object]]:
    done = CliRunner().invoke(main, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_that_prints_for_people_has_a_form_for_machines(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    assert any("--json" in parameter.opts for parameter in command.params) == (path != ("serve",))


def test_one_variable_is_the_same_option_wherever_it_is_read() -> None:
    named: dict[str, set[str]] = {}
    for command in COMMANDS.values():
        for parameter in command.params:
            if isinstance(parameter, click.Option) and isinstance(parameter.envvar, str):
                named.setdefault(parameter.envvar, set()).add(parameter.opts[0])
    del named["CHATBOT_ERP_DATABASE"]  # `migrate --to` is the database that shall be one
    assert named == {variable: {as_option(variable)} for variable in named}


def as_option(variable: str) -> str:
    return "--" + variable.removeprefix("CHATBOT_ERP_").lower().replace("_", "-")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "needs a --database"),
        (("--database", "postgresql://x", "--sandbox"), "share a network"),
        (("--database", "postgresql://x", "--advertise", "10.0.0.5:3000"), "is an address such as"),
        (("--database", "postgresql://x", "--advertise", "http://10.0.0.5:30o0"), "is an address such as"),
        (("--database", "postgresql://x", "--advertise", "http://10.0.0.5:70000"), "is an address such as"),
        (("--database", "postgresql://x", "--host", "0.0.0.0", "--api-key", "k"), "say --advertise"),
        (("--database", "postgresql://x", "--lease", "1"), "not in the range"),
        (("--database", "postgresql://x", "--lease", "1e300"), "not in the range"),
    ],
)
def test_a_node_that_others_could_not_replace_or_reach_is_refused(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(main, ["serve", "--share", *words])
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sessions", "database"), "needs a --database"),
        (("--sessions", "postgresql://me:secret@pool/x"), "needs a --database"),
        (("--sessions", "mysql://me:secret@pool/x", "--database", "postgresql://x"), "the address of a pool"),
    ],
)
def test_sessions_that_could_be_nowhere_are_refused(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(main, ["serve", *words])
    assert done.exit_code == 2
    assert said in done.output
    assert "secret" not in done.output


@pytest.mark.parametrize("key", [" ", "secret\n", " secret"])
def test_a_key_that_nobody_could_show_is_refused(tmp_path: Path, key: str) -> None:
    done = CliRunner().invoke(main, ["serve", "--data-dir", str(tmp_path / "d")], env={"CHATBOT_ERP_API_KEY": key})
    assert done.exit_code == 2
    assert "nobody could show it" in done.output
    assert "secret" not in done.output
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_what_cannot_be_reckoned_with_is_no_number(tmp_path: Path, number: str) -> None:
    for option in (each for each in COMMANDS["serve",].params if isinstance(each.type, click.FloatRange)):
        done = CliRunner().invoke(main, ["serve", "--data-dir", str(tmp_path / "d"), option.opts[0], number])
        assert (done.exit_code, "Invalid value" in done.output) == (2, True), option.opts
    assert not (tmp_path / "d").exists()


def test_keys_are_made_listed_and_revoked_by_a_program(tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path / "data"))
    (made,) = lines("keys", "create", "--scope", "send", "--instance", "a", "--label", "orders", *where)
    assert str(made.pop("key")).startswith("cerp_")
    assert lines("keys", "list", *where) == [made]
    (revoked,) = lines("keys", "revoke", str(made["id"]), *where)
    assert revoked["revoked_at"] is not None


@pytest.mark.parametrize("words", [("list",), ("revoke", "9f2c61d0")])
def test_who_looks_for_keys_in_a_wrong_directory_is_told_so_and_leaves_nothing_there(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(main, ["keys", *words, "--data-dir", str(tmp_path / "mistyped")])
    assert done.exit_code == 1
    assert "There are no keys in" in done.output
    assert not (tmp_path / "mistyped").exists()


def test_whoever_makes_a_key_is_told_where_and_warned_where_no_manager_has_run(tmp_path: Path) -> None:
    words = ["keys", "create", "--scope", "read", "--data-dir", str(tmp_path)]
    early = CliRunner().invoke(main, words, catch_exceptions=False)
    assert f"There is no log in {tmp_path} yet" in early.stderr
    with EventStore.open(tmp_path):
        pass
    made = CliRunner().invoke(main, words, catch_exceptions=False)
    assert f" in {tmp_path}: read" in made.stderr
    assert "There is no log" not in made.stderr


def test_a_manager_that_cannot_run_says_why_what_to_do_and_by_which_name_the_handbook_has_it(tmp_path: Path) -> None:
    with EventStore.open(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "events.db")) as log:
        log.execute("PRAGMA user_version = 99")
    line = [sys.executable, "-m", "chatbot_erp.actors.main", "serve", "--port", "0", "--data-dir", str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{LogTooNew.action} (log-too-new)" in done.stderr


def test_a_backup_and_its_restoration_tell_a_program_where_and_how_much(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with EventStore.open(data):
        pass
    copy, again = tmp_path / "copies" / "1", tmp_path / "again"
    assert lines("backup", str(copy), "--data-dir", str(data)) == [{"directory": str(copy), "events": 0}]
    assert lines("restore", str(copy), "--data-dir", str(again)) == [{"directory": str(again), "events": 0}]


@pytest.mark.parametrize("position", [str(2**63), "9" * 5000, "-1"])
@pytest.mark.parametrize("words", [("events", "--after"), ("replay", "a", "--at")], ids=" ".join)
def test_a_position_that_no_log_can_have_is_refused(tmp_path: Path, words: tuple[str, ...], position: str) -> None:
    with EventStore.open(tmp_path):
        pass
    refused = CliRunner().invoke(main, [*words, position, "--data-dir", str(tmp_path)])
    assert (refused.exit_code, "Traceback" in refused.output) == (2, False), refused.output


@pytest.mark.parametrize(
    ("manner", "interrupted", "unheard"),
    [({}, 130, 141), ({"shows": True}, 130, 0), ({"shows": True, "follow": True}, 0, 0)],
    ids=["does", "shows", "follows"],
)
def test_a_command_that_was_cut_short_says_so_unless_it_had_no_end_of_its_own(
    manner: dict[str, bool], interrupted: int, unheard: int
) -> None:
    for cause, code in ((KeyboardInterrupt, interrupted), (BrokenPipeError, unheard)):
        script = "from chatbot_erp.actors.log_commands import reporting\n"
        script += f"def run():\n    raise {cause.__name__}\nreporting(run, **{manner})"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize(("words", "code"), [(("verify",), 141), (("backup", "copy"), 141), (("events",), 0)])
def test_what_nobody_hears_is_no_success_unless_it_was_only_to_be_shown(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    log_about(tmp_path / "data", "A")
    reader, writer = os.pipe()
    os.close(reader)
    line = [sys.executable, "-m", "chatbot_erp.actors.main", *words, "--data-dir", "data"]
    done = subprocess.run(line, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_backup_of_a_manager_on_postgresql_is_of_its_files_only(tmp_path: Path, database: str) -> None:
    with open_store(tmp_path / "data", database):
        (tmp_path / "data" / "sessions").mkdir()
        (tmp_path / "data" / "sessions" / "a.key").write_text("session")
    copy, again = tmp_path / "copy", tmp_path / "again"
    assert lines("backup", str(copy), "--data-dir", str(tmp_path / "data")) == [
        {"directory": str(copy), "events": None}
    ]
    assert lines("restore", str(copy), "--data-dir", str(again)) == [{"directory": str(again), "events": None}]
    assert (again / "sessions" / "a.key").read_text() == "session"


@pytest.mark.parametrize(
    "words",
    [("events",), ("verify",), ("export", "5511987654321"), ("erase", "5511987654321", "--yes"), ("keys", "list")],
)
def test_a_directory_on_the_command_line_is_never_passed_over_for_a_database_in_the_environment(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    with EventStore.open(tmp_path):
        pass
    environment = {"CHATBOT_ERP_DATABASE": "postgresql://nobody@127.0.0.1:1/none"}
    line = [*words, "--data-dir", str(tmp_path)]
    done = CliRunner().invoke(main, line, env=environment)
    assert done.exit_code == 2
    assert "it is not clear which log is meant" in " ".join(done.output.split())
    done = CliRunner().invoke(main, [*line, "--database", ""], env=environment)
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, words, env={**environment, "CHATBOT_ERP_DATA_DIR": str(tmp_path)})
    assert "cannot be written" in done.output, "both are from the environment: it is the database"


@pytest.mark.parametrize(
    "words",
    [
        ("events",),
        ("verify",),
        ("replay", "a"),
        ("export", "5511987654321"),
        ("erase", "5511987654321", "--yes"),
        ("keys", "list"),
    ],
)
def test_no_command_takes_a_log_that_was_moved_for_the_present_one(words: tuple[str, ...], tmp_path: Path) -> None:
    with EventStore.open(tmp_path):
        (tmp_path / MOVED).touch()
    done = CliRunner().invoke(main, [*words, "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "was moved to PostgreSQL" in done.output


def test_who_is_named_as_one_dials_at_home_is_exported_and_erased(tmp_path: Path) -> None:
    with EventStore.open(tmp_path) as store:
        tell(store, message(HER, "her wish"))
    named = (f"({HER[2:4]}) {HER[4:]}", "--data-dir", str(tmp_path))
    assert not lines("export", *named), "else this test shows nothing"
    assert len(lines("export", *named, "--default-region", "br")) == 1
    lines("erase", *named, "--default-region", "br", "--yes")
    assert not lines("export", HER, "--data-dir", str(tmp_path))


@pytest.mark.parametrize("words", [("serve",), ("export", HER), ("erase", HER, "--yes")])
def test_a_region_that_is_none_is_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    for region in ("BRA", "55", "xx"):
        done = CliRunner().invoke(main, [*words, "--data-dir", str(tmp_path), "--default-region", region])
        assert (done.exit_code, "is no region of two letters" in " ".join(done.output.split())) == (2, True), (
            done.output
        )


def test_an_erasure_that_finds_nobody_does_not_say_that_somebody_was_forgotten(tmp_path: Path) -> None:
    with EventStore.open(tmp_path) as store:
        tell(store, message(HER, "her wish"))
    for number, said in ((HIM, "knows nobody"), (HER, "Forgotten."), (HER, "knows nobody")):
        done = CliRunner().invoke(main, ["erase", number, "--yes", "--data-dir", str(tmp_path)])
        assert (done.exit_code, said in done.output) == (0, True), done.output


@pytest.mark.parametrize("content", [b"garbage", b"{}", b"\xff"])
def test_a_file_that_is_no_checkpoint_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    with EventStore.open(tmp_path / "data"):
        (tmp_path / "kept").write_bytes(content)
    words = ("verify", "--checkpoint", str(tmp_path / "kept"), "--data-dir", str(tmp_path / "data"))
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, "is no checkpoint" in done.output) == (1, True), done.output


def test_a_checkpoint_that_cannot_be_kept_is_one_clear_line(tmp_path: Path) -> None:
    log_about(tmp_path, "3EB0A1")
    done = CliRunner().invoke(main, ["verify", "--keep", str(tmp_path / "no" / "x"), "--data-dir", str(tmp_path)])
    assert (done.exit_code, "cannot be written" in done.output) == (1, True), done.output


def test_events_of_a_message_are_those_that_have_its_whole_id(tmp_path: Path) -> None:
    log_about(tmp_path, "3EB0A1", "3EB0A1B2")
    for message_id, found in (("3EB0A1", 1), ("3EB0A1B2", 1), ("3EB0", 0), ("ping.sent", 0)):
        assert len(lines("events", "--message-id", message_id, "--data-dir", str(tmp_path))) == found


def test_who_follows_a_message_that_is_sent_meanwhile_hears_what_becomes_of_it(tmp_path: Path) -> None:
    at = datetime.now(UTC)
    accepted = MessageAccepted(command_id="c1", number=HER, kind="text", text="hi")
    later: list[Event] = [
        MessageSent(command_id="c1", message_id="M1", jid=f"{HER}@s.whatsapp.net", kind="text", text="hi", sent_at=at),
        MessageAcknowledged(message_id="M1", jid=f"{HER}@s.whatsapp.net", participant=None, ack=Ack.DELIVERED),
    ]
    line = [
        sys.executable,
        "-m",
        "chatbot_erp.actors.main",
        "events",
        "--message-id",
        "c1",
        "--data-dir",
        str(tmp_path),
    ]
    line += ["--type", "message.accepted", "--type", "message.acknowledged", "--follow", "--limit", "2"]
    with EventStore.open(tmp_path) as store:
        store.append("a", 0, [NewEvent(id="e0", event=accepted, recorded_at=at)], snapshot=b"1").result()
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as follower:
            try:
                assert follower.stdout is not None
                first = follower.stdout.readline()
                facts = [NewEvent(id=f"l{n}", event=each, recorded_at=at) for n, each in enumerate(later)]
                store.append("a", 1, facts, snapshot=b"2").result()
                rest, _ = follower.communicate(timeout=PATIENCE_S)
            finally:
                follower.kill()
    assert [each.split()[3] for each in (first, *rest.splitlines())] == ["message.accepted", "message.acknowledged"]


def test_what_people_wrote_cannot_steer_a_terminal_nor_look_like_another_line(tmp_path: Path) -> None:
    log_about(tmp_path, "\x1b]0;pwn\x07", "a\n       2  forged", "\u202egnorw")
    shown = CliRunner().invoke(main, ["events", "--data-dir", str(tmp_path)]).output
    assert len(shown.splitlines()) == 3
    assert all(each.isprintable() for each in shown.splitlines())
    assert r"\x1b]0;pwn\x07" in shown


def test_an_acknowledgement_of_an_error_is_shown_as_one(tmp_path: Path) -> None:
    error = MessageAcknowledged(message_id="c", jid="551@s.whatsapp.net", participant=None, ack=Ack.ERROR)
    with EventStore.open(tmp_path) as store:
        store.append("i", 0, [NewEvent(id="e", event=error, recorded_at=datetime.now(UTC))], snapshot=b"").result(60)
    shown = CliRunner().invoke(main, ["events", "--data-dir", str(tmp_path)]).output
    assert shown.split()[-3:] == ["messageId=c", "jid=551@s.whatsapp.net", "ack=0"]


def test_a_label_is_shown_as_it_was_given(tmp_path: Path) -> None:
    for label in ("[/]", "[bold]ERP"):
        lines("keys", "create", "--label", label, "--scope", "read", "--data-dir", str(tmp_path))
    shown = CliRunner().invoke(main, ["keys", "list", "--data-dir", str(tmp_path)])
    assert shown.exit_code == 0
    assert "[/]" in shown.output
    assert "[bold]ERP" in shown.output


def log_about(directory: Path, *message_ids: str) -> None:
    at = datetime.now(UTC)
    facts = [
        NewEvent(id=f"e{n}", event=PingSent(message_id=each), recorded_at=at) for n, each in enumerate(message_ids)
    ]
    with EventStore.open(directory) as store:
        store.append("a", 0, facts, snapshot=b"1").result()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_it(shell: str) -> None:
    variables = {**os.environ, "_CHATBOT_ERP_COMPLETE": f"{shell}_source"}
    program = Path(sys.executable).with_name("chatbot-erp")
    script = subprocess.run([program], env=variables, capture_output=True, text=True, check=False).stdout
    assert "_CHATBOT_ERP_COMPLETE" in script


def test_completion_knows_commands_and_options() -> None:
    variables = {"_CHATBOT_ERP_COMPLETE": "fish_complete", "COMP_WORDS": "chatbot-erp keys ", "COMP_CWORD": ""}
    program = Path(sys.executable).with_name("chatbot-erp")
    done = subprocess.run([program], env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    assert all(f"plain,{word}" in done.stdout for word in ("create", "list", "revoke"))
