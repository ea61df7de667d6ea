"""docs/faults.md promises nothing that no test proves, and leaves out nothing that can go wrong with a connection."""

import ast
import re
from pathlib import Path

from chatbot_erp.actors.supervision import REMEDIES
from fault_matrix import FAULTS

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/faults.md").read_text()


def table(section: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]


def test_every_test_that_it_names_is_one() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there = {
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert named
    assert named - there == set()


def test_it_lists_the_faults_that_are_played_with_what_is_done_about_them() -> None:
    listed = [cells[:3] for cells in table("A connection")]
    assert listed == [[fault.name, f"`{fault.cause}`", REMEDIES[fault.cause].value] for fault in FAULTS]


def test_every_cause_of_a_loss_is_on_it() -> None:
    assert {cause for cause in REMEDIES if f"`{cause}`" not in PAGE} == set()


def test_every_row_of_the_other_tables_ends_with_its_test() -> None:
    sections = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE)) - {"A connection"}
    without = [cells[0] for section in sections for cells in table(section) if not cells[-1].startswith("`test_")]
    assert without == []
