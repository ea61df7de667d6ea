"""The handbook is true: what it draws, lists and links is what there is."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from chatbot_erp.actors import errors as actor_errors
from chatbot_erp.actors.main import main
from chatbot_erp.actors.supervision import REMEDIES
from chatbot_erp.eventstore import errors as store_errors
from chatbot_erp.http.problems import CATALOGUE
from drawings import DOCUMENTS, DRAWINGS, redrawn

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
METRIC = re.compile(r"chatbot_erp_[a-z_]+")


def prose(text: str) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """What can be linked to in a document, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_is_drawn_is_what_the_code_does(document: Path) -> None:
    text = document.read_text()
    assert redrawn(text) == text, "run `make drawings`"


@pytest.mark.parametrize("room", [actor_errors, store_errors], ids=lambda room: room.__name__)
def test_a_rooms_errors_are_all_in_its_tree(room: ModuleType) -> None:
    drawn = re.findall(r"[├└]── (\w+)", room.__doc__ or "")
    errors = {name for name, kind in vars(room).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert sorted(drawn) == sorted(errors - {"ManagerError", "StoreError"})


def test_every_drawing_is_somewhere() -> None:
    all_of_it = "".join(document.read_text() for document in DOCUMENTS)
    assert all(f"<!-- {name} -->" in all_of_it for name in DRAWINGS)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for found in LINK.finditer(prose(document.read_text())):
        target = found[1] or found[2]
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        leads_to = (document.parent / path) if path else document
        assert leads_to.exists(), target
        assert not anchor or anchor in anchors(leads_to.read_text()), target


def options() -> Iterator[str]:
    for parameter in main.commands["serve"].params:
        assert isinstance(parameter, click.Option)
        yield from (name for name in parameter.opts if name != "--help")


def test_every_option_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    rare = {"--http-threads", "--node", "--sandbox-network"}
    assert {name for name in options() if f"`{name}" not in text and f", `{name}`" not in text} <= rare
    mentioned = set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE))
    assert mentioned <= set(options())


def test_every_type_of_message_has_a_journey_that_there_is() -> None:
    proving = ("test_sending.py", "test_sending_files.py", "test_receiving.py", "test_receiving_files.py")
    journeys = "".join((ROOT / "tests/journeys" / name).read_text() for name in proving)
    names = re.findall(r"^def test_(\w+)\(", journeys, re.MULTILINE)
    tables = re.findall(
        r"^\| [^\n]*journey[^\n]*\n\|[-|]+\n((?:\|.*\n)+)", (DOCS / "messages.md").read_text(), re.MULTILINE
    )
    rows = [row for table in tables for row in table.splitlines()]
    assert len(tables) == 3
    for row in rows:
        proofs = row.strip("|").rpartition("|")[2].split(",")
        assert all(any(proof.strip() in name for name in names) and proof.strip() for proof in proofs), row


def test_every_problem_that_is_named_exists() -> None:
    for document in DOCUMENTS:
        for status, code in re.findall(r"\b([45]\d\d) `([a-z]+(?:-[a-z]+)+)`", document.read_text()):
            assert CATALOGUE[code].status == int(status), (document.name, code)


@pytest.mark.parametrize("page", ["troubleshooting.md", "pt-BR.md"])
def test_every_cause_of_a_loss_is_in_troubleshooting(page: str) -> None:
    text = (DOCS / page).read_text()
    planned = {"host_recycled"}
    assert [cause for cause in REMEDIES if f"`{cause}`" not in text and cause not in planned] == []


def exported() -> set[str]:
    """The names of all metrics, as they are queried."""
    from types import SimpleNamespace
    from typing import Any, cast

    from chatbot_erp.actors.latencies import Latencies
    from chatbot_erp.http.metrics import Metrics

    latencies = Latencies()
    manager = SimpleNamespace(
        unready=lambda: None,
        directory=SimpleNamespace(views=lambda coming: [], missing=frozenset),
        tallies=dict,
        latencies=latencies.collect,
        host_vitals=tuple,
        store=SimpleNamespace(outstanding=lambda: SimpleNamespace(waiting=0, oldest=None, dead=0), head=lambda: 0),
    )
    names = set()
    for family in Metrics(cast(Any, manager)).families():
        names.add(f"{family.name}_total" if family.type == "counter" else family.name)
    return {name for name in names if name.startswith("chatbot_erp_")}


def test_the_metrics_that_are_listed_are_those_there_are() -> None:
    assert set(METRIC.findall(prose((DOCS / "observability.md").read_text()))) == exported()


def test_the_grafana_dashboard_asks_for_metrics_that_there_are_and_shows_all() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
    asked = {
        name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in METRIC.findall(target["expr"])
    }
    assert asked <= exported()
    assert exported() - asked <= {"chatbot_erp_build_info", "chatbot_erp_log_position"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def skeleton(text: str) -> dict[str, list[str]]:
    """What of a document is the same in every language."""
    commands = re.findall(r"^\$ ([^#\n]*?)(?:\s+#.*)?$", text, re.MULTILINE)
    code = re.findall(r"^```(?:json|python|mermaid)\n.*?^```$", text, re.DOTALL | re.MULTILINE)
    rows = [re.split(r"(?<!\\)\|", line) for line in prose(text).splitlines() if line.startswith("|")]
    return {
        "headings": re.findall(r"^(#+) ", prose(text), re.MULTILINE),
        "commands": commands,
        "code": code,
        "rows": [" ".join(re.findall(r"`[^`]+`", row[1])) for row in rows],
        "columns": [str(len(row)) for row in rows],
        "links": sorted(target for found in LINK.finditer(prose(text)) if (target := found[1])),
        "words": sorted(set(re.findall(r"`((?:--|/|GET )[^`]*)`", prose(text)))),
    }


def test_what_the_portuguese_page_names_is_there() -> None:
    text = (DOCS / "pt-BR.md").read_text()
    portuguese = skeleton(text)
    english = [skeleton(document.read_text()) for document in DOCUMENTS if document.name != "pt-BR.md"]
    assert set(portuguese["commands"]) <= {command for each in english for command in each["commands"]}
    assert set(main.commands) - {"serve"} <= set(re.findall(r"`(?:chatbot-erp )?([a-z]+)", text))
    assert set(re.findall(r"`chatbot-erp ([a-z]+)", text)) <= set(main.commands)


def test_the_readme_says_the_same_in_portuguese() -> None:
    english = skeleton((ROOT / "README.md").read_text().replace("(README.pt-BR.md)", "()"))
    portuguese = skeleton((ROOT / "README.pt-BR.md").read_text().replace("(README.md)", "()"))
    for part, found in english.items():
        assert portuguese[part] == found, part
