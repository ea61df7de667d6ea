"""Draws what the handbook shows of the code, from the code: run it after a change of the tables (`make drawings`).

Whatever stands between `<!-- NAME -->` and `<!-- end of NAME -->` in a document is replaced by the drawing of that
name. tests/test_handbook.py holds the documents against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from chatbot_erp.actors import frames, hosts, lives, serve, supervisor_actor
from chatbot_erp.actors.commands import Command, CreateInstance, Observed, RemoveInstance, RestartInstance
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.instance import decide
from chatbot_erp.actors.state import Instance, State, evolve
from chatbot_erp.actors.supervision import INCURABLE, REMEDIES, Remedy
from chatbot_erp.eventstore.events import Status

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", ROOT / "README.pt-BR.md", *sorted((ROOT / "docs").glob("*.md")))
AT = datetime(2026, 1, 1, tzinfo=UTC)
JID = "5511@s.whatsapp.net"
CREATED = CreateInstance(name="a", webhook_url="http://receiver/", session_from=None)

LIVING = frozenset(Status) - {Status.INVALID}
"""Where a socket can say something."""


def receipt(ack: int) -> frames.SocketSawReceipt:
    return frames.SocketSawReceipt(message_ids=("m",), jid=JID, participant=None, ack=ack)


def words() -> dict[str, tuple[frozenset[Status], list[Command]]]:
    """What may be said to an instance, by what a reader calls it, and where it can be said."""

    def heard(*observations: frames.Observation) -> list[Command]:
        return [Observed(generation=1, observation=each, at=AT) for each in observations]

    curable = [frames.SocketEnded(cause=cause) for cause in REMEDIES if cause not in INCURABLE | {"logged_out"}]
    incurable = [frames.SocketEnded(cause=cause) for cause in INCURABLE]
    connected = frames.SocketConnected(jid=JID, lid=None, push_name="")
    waiting = frozenset({Status.SCAN_QR_CODE})
    return {
        "a code is offered": (LIVING, heard(frames.SocketOfferedQr(qr="q", valid_s=20))),
        "the phone has scanned": (waiting, heard(frames.SocketPaired(jid=JID, lid=None))),
        "WhatsApp lets it in": (LIVING - waiting, heard(connected)),
        "ack below 2": (LIVING, heard(receipt(0))),
        "ack 2 or more": (LIVING, heard(receipt(2), receipt(3), receipt(4))),
        "lost, curable": (LIVING, heard(*curable)),
        "lost, incurable": (LIVING, heard(*incurable)),
        "logged out on the phone": (LIVING, heard(frames.SocketEnded(cause="logged_out"))),
        "restart": (frozenset(Status), [RestartInstance(cause="requested")]),
        "delete": (frozenset(Status), [RemoveInstance(unlink=True)]),
    }


def after(state: State, command: Command) -> State:
    for event in decide(state, command):
        state = evolve(state, event, AT)
    return state


def transitions() -> dict[tuple[str, str], list[str]]:
    """Every change of status that `decide` and `evolve` make, from the creation on, and what brings it about."""
    found: dict[tuple[str, str], list[str]] = {}
    born = after(None, CREATED)
    assert isinstance(born, Instance)
    seen, ahead = {born.status}, [born]
    while ahead:
        state = ahead.pop(0)
        for label, (where, commands) in words().items():
            for command in commands if state.status in where else ():
                then = after(state, command)
                end = then.status.value if isinstance(then, Instance) else "[*]"
                if end == state.status.value:
                    continue
                labels = found.setdefault((state.status.value, end), [])
                labels += [label] if label not in labels else []
                if isinstance(then, Instance) and then.status not in seen:
                    seen.add(then.status)
                    ahead.append(first_generation(then))
    return found


def first_generation(state: Instance) -> Instance:
    """The same instance, so that the same observations are about its present socket."""
    return msgspec.structs.replace(state, generation=1)


def from_everywhere(found: dict[tuple[str, str], list[str]]) -> set[tuple[str, str]]:
    """What leads to the same status from each of them, and where to."""
    return {
        (label, end)
        for (_, end), labels in found.items()
        for label in labels
        if all(label in found.get((status.value, end), ()) for status in Status if status.value != end)
    }


def states() -> str:
    """The life of a number, as a Mermaid diagram, without what leads to the same status from everywhere."""
    found = transitions()
    everywhere = from_everywhere(found)
    lines = ["stateDiagram-v2", "    [*] --> INITIALIZING: create"]
    for (start, end), labels in found.items():
        if own := [label for label in labels if (label, end) not in everywhere]:
            lines.append(f"    {start} --> {end}: {', '.join(own)}")
    return fenced("mermaid", lines)


def everywhere() -> str:
    """What leads to the same status from everywhere, as a list."""
    return "\n".join(
        f"* *{label}* → {end.replace('[*]', '`[*]`')}" for label, end in sorted(from_everywhere(transitions()))
    )


def tree() -> str:
    """Who starts, watches and replaces whom."""
    config, silence = Config(), f"{hosts.SILENCE_S:.0f} s; its numbers get new sockets"
    lines = [
        "flowchart TD",
        f'    main["chatbot-erp serve<br/>ends itself if the supervisor is silent for {serve.PULSE_PATIENCE_S:.0f} s"]',
        f'    supervisor["SupervisorActor<br/>looks around every {supervisor_actor.LOOK_EVERY_S:.0f} s"]',
        f'    instance["InstanceActor, one for each number<br/>replaced if it fails, or is silent for {lives.STUCK_S:.0f} s"]',
        '    webhook["WebhookActor, one for each endpoint<br/>replaced if it fails or hangs; goes on from the log"]',
        f'    host["socket host, a process for up to {config.numbers_per_host} numbers<br/>killed if silent for {silence}"]',
        '    socket["neonize socket, one for each number<br/>restarted by the table of remedies"]',
        '    store[("event log<br/>one writer")]',
        "    main --> supervisor",
        "    main --> store",
        "    supervisor --> instance",
        "    supervisor --> host",
        "    instance --> webhook",
        "    host --> socket",
    ]
    return fenced("mermaid", lines)


def remedies() -> str:
    """What is done about each cause of a loss."""
    rows = ["| cause | remedy |", "|---|---|"]
    for remedy in Remedy:
        causes = ", ".join(f"`{cause}`" for cause, helps in REMEDIES.items() if helps is remedy)
        rows.append(f"| {causes} | {remedy.value} |")
    return "\n".join(rows)


def fenced(language: str, lines: list[str]) -> str:
    return "\n".join([f"```{language}", *lines, "```"])


DRAWINGS: dict[str, Callable[[], str]] = {
    "states": states,
    "everywhere": everywhere,
    "tree": tree,
    "remedies": remedies,
}


def redrawn(text: str) -> str:
    """A document with its drawings as they should be."""
    for name, draw in DRAWINGS.items():
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text = pattern.sub(lambda found, draw=draw: f"{found[1]}{draw()}\n{found[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    for document in DOCUMENTS:
        if document.exists():
            document.write_text(redrawn(document.read_text()))
