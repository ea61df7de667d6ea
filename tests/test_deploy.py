"""What is handed out for running it somewhere is well-formed and says what the program understands.

No container engine is needed: the files are read as the engine reads them, and the steps of the image are those of
`make package`.
"""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from chatbot_erp.actors.main import main
from pgbouncer import RECIPE

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
VARIABLES = {
    variable
    for command in main.commands.values()
    for parameter in command.params
    if isinstance(parameter, click.Option) and (variable := parameter.envvar)
}
ORDERLY_END_S = 30


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile, one instruction after another."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


@pytest.mark.parametrize("file", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_every_variable_is_an_option_of_the_program(file: Path) -> None:
    assert set(re.findall(r"CHATBOT_ERP_[A-Z_]+", file.read_text())) <= VARIABLES


def test_the_image_is_built_in_two_stages_and_runs_as_nobody_special() -> None:
    steps = instructions()
    words = [word for word, _ in steps]
    assert words.count("FROM") == 2
    extras = next(re.findall(r"'\.\[([a-z,]+)\]'", rest)[0] for word, rest in steps if word == "RUN" and "pip" in rest)
    assert set(extras.split(",")) == {"otel", "postgres", "sandbox"}
    last = dict(steps[len(words) - 1 - words[::-1].index("FROM") :])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert last["VOLUME"] == last["WORKDIR"] == "/data"
    assert last["EXPOSE"] == "3000"
    assert last["ENTRYPOINT"] == '["chatbot-erp"]'
    assert "/livez" in last["HEALTHCHECK"]


def test_the_composition_has_the_old_name_and_port_and_may_write_its_data_only() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    service = services["chatbot-erp"]
    assert service["container_name"] == "chatbot-erp"
    assert [port.rpartition(":")[2] for port in service["ports"]] == ["3000"]
    assert service["read_only"] is True
    assert [volume.partition(":")[2] for volume in service["volumes"]] == ["/data"]
    assert service["cap_drop"] == ["ALL"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert "?" in service["environment"]["CHATBOT_ERP_API_KEY"]  # refused where none is given
    assert seconds(service["stop_grace_period"]) > ORDERLY_END_S


def test_the_nodes_of_a_cluster_share_one_database_and_nothing_else() -> None:
    services = yaml.safe_load((DEPLOY / "compose-cluster.yaml").read_text())["services"]
    nodes = {name: service for name, service in services.items() if name not in ("postgres", "pgbouncer")}
    assert len(nodes) == 3
    for name, service in nodes.items():
        settings = service["environment"]
        assert settings["CHATBOT_ERP_SHARE"] == "true"
        assert settings["CHATBOT_ERP_DATABASE"].partition("@")[2] == "postgres/postgres"
        assert settings["CHATBOT_ERP_SESSIONS"].partition("@")[2] == "pgbouncer:6432/sessions"
        assert (settings["CHATBOT_ERP_NODE"], settings["CHATBOT_ERP_ADVERTISE"]) == (name, f"http://{name}:3000")
        assert "?" in settings["CHATBOT_ERP_API_KEY"]
        assert service["volumes"] == [f"{name}:/data"]
        assert seconds(service["stop_grace_period"]) > ORDERLY_END_S
    assert "?" in services["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_the_pool_of_a_cluster_is_the_one_that_the_journeys_use() -> None:
    composition = yaml.safe_load((DEPLOY / "compose-cluster.yaml").read_text())
    targets = {each["target"]: each["source"] for each in composition["services"]["pgbouncer"]["configs"]}
    recipe = configparser.ConfigParser(interpolation=None)
    recipe.read(DEPLOY / composition["configs"][targets["/etc/pgbouncer/pgbouncer.ini"]]["file"])
    assert set(recipe["databases"]) == {"sessions"}
    assert recipe["pgbouncer"]["auth_file"] in targets
    assert recipe["pgbouncer"]["listen_port"] == "6432"
    assert (DEPLOY / composition["configs"]["pool"]["file"]).samefile(RECIPE)


def test_the_unit_gives_the_end_its_time() -> None:
    text = (DEPLOY / "chatbot-erp.service").read_text()
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert int(settings["TimeoutStopSec"]) > ORDERLY_END_S
    assert settings["ProtectSystem"] == "strict"
    assert (settings["Restart"], settings["StartLimitIntervalSec"]) == ("always", "0")  # it never gives up


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there to judge the unit")
def test_the_unit_is_valid(tmp_path: Path) -> None:
    text = (DEPLOY / "chatbot-erp.service").read_text()
    program = Path(sys.executable).with_name("chatbot-erp")
    unit = tmp_path / "chatbot-erp.service"
    unit.write_text(text.replace("/opt/chatbot-erp/bin/chatbot-erp", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
