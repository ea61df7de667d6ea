"""What `make demo-cluster` shows to whoever has just heard of nodes."""

import os
import re
import subprocess
import sys

import pytest

NUMBERS = 3
SHOWN = re.compile(r"│ ([abc]) +│ (yes|no) +│ (\d+) +│")


@pytest.mark.usefixtures("postgres")
def test_the_demo_of_nodes_pairs_its_numbers_and_shows_them_move_from_a_killed_node_and_from_one_that_ends() -> None:
    command = (sys.executable, "-m", "chatbot_erp.sandbox.demo_cluster", "--once", "--numbers", str(NUMBERS))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CHATBOT_ERP_")}
    shown = subprocess.run(
        command, env={**environment, "COLUMNS": "120"}, capture_output=True, text=True, timeout=840, check=False
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    paired, after_a_kill, after_an_end = (
        {name: (alive, int(numbers)) for name, alive, numbers in SHOWN.findall(part)}
        for part in re.split("kill -9|SIGTERM", shown.stdout)
    )
    assert sum(numbers for _, numbers in paired.values()) == NUMBERS
    assert paired["a"][1] > 0, "or nothing would move"
    assert after_a_kill["a"] == ("no", 0)
    assert after_a_kill["b"][1] + after_a_kill["c"][1] == NUMBERS
    assert after_an_end == {"a": ("no", 0), "b": ("no", 0), "c": ("yes", NUMBERS)}
    assert "Maria has: ['Olá, por a', 'Olá, por b', 'Olá, por c', 'Até logo']" in shown.stdout
    assert "Traceback" not in shown.stderr
