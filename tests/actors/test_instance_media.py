"""An instance's actor and what belongs to its messages: their files, and the polls that votes are about."""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from chatbot_erp.actors import frames, tidings
from chatbot_erp.actors.commands import ConfigurePacing, DoubtPending, LoseSocket, SendMessage
from chatbot_erp.actors.config import Config
from chatbot_erp.actors.contents import Image, Text
from chatbot_erp.actors.erasing import Eraser
from chatbot_erp.actors.errors import InstanceNotOperational, MediaGone, SendingTooFast, Unavailable
from chatbot_erp.actors.housekeeping import tidy_media
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.media_frames import FetchMedia, SocketFailedToFetch, SocketFetched
from chatbot_erp.actors.media_specs import Media, media_in
from chatbot_erp.actors.outbox import Outbox
from chatbot_erp.actors.pacing import Pacing
from chatbot_erp.actors.sending import Draft
from instance_world import PATIENCE_S, World, received

IMAGE = {"imageMessage": {"directPath": "/v", "mediaKey": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="}}
RAW = json.dumps(IMAGE)
MEDIA = cast(Media, media_in(msgspec.Raw(RAW.encode()), "m"))


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[[float], World]]:
    worlds = []

    def make(keep_days: float) -> World:
        worlds.append(World(tmp_path, Config(data_dir=tmp_path, media_keep_days=keep_days)))
        worlds[-1].connect()
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(build: Callable[[float], World]) -> World:
    return build(0)


def an_image(world: World, number: int = 1) -> None:
    world.tell(msgspec.structs.replace(received("m1"), kind="image", raw=RAW), number)


def ask(world: World, target: Path) -> "Future[None]":
    arrived: Future[None] = world.actor.ask(tidings.AskMedia(media=MEDIA, target=str(target)), timeout=PATIENCE_S)
    return arrived


def test_a_wanted_file_is_ordered_from_the_host_and_told_of_when_it_is_there(world: World, tmp_path: Path) -> None:
    arrived = ask(world, tmp_path / "file")
    order = world.host.next(FetchMedia)
    assert (order.media, order.target, order.ahead) == (MEDIA, str(tmp_path / "file"), False)
    world.tell(SocketFetched(command_id=order.command_id, size=3))
    arrived.result(PATIENCE_S)


def test_the_word_of_an_older_socket_counts_for_files_all_the_same(world: World, tmp_path: Path) -> None:
    arrived = ask(world, tmp_path / "file")
    order = world.host.next(FetchMedia)
    world.tell(SocketFailedToFetch(command_id=order.command_id, reason="gone", detail="410"), generation=0)
    with pytest.raises(MediaGone):
        arrived.result(PATIENCE_S)


@pytest.mark.parametrize("told", [LoseSocket(generation=1, cause="host_died"), DoubtPending(cause="host_died")])
def test_a_lost_host_takes_the_files_with_it_that_it_was_fetching_also_where_its_socket_was_being_closed(
    world: World, tmp_path: Path, told: LoseSocket | DoubtPending
) -> None:
    arrived = ask(world, tmp_path / "file")
    world.actor.tell(told)
    with pytest.raises(Unavailable):
        arrived.result(PATIENCE_S)


def test_without_a_host_no_file_can_be_had(world: World, tmp_path: Path) -> None:
    world.house.switchboard.unplug("i")
    with pytest.raises(InstanceNotOperational):
        ask(world, tmp_path / "file")


def test_files_are_not_fetched_ahead_by_default(world: World) -> None:
    an_image(world)
    ask(world, Path("/nowhere"))
    assert world.host.next(FetchMedia).target == "/nowhere"


def test_files_are_fetched_ahead_where_they_are_kept_and_given_out_from_there(build: Callable[[float], World]) -> None:
    world = build(7)
    an_image(world)
    order = world.host.next(FetchMedia)
    assert order.ahead
    Path(order.target).write_bytes(b"png")
    world.tell(SocketFetched(command_id=order.command_id, size=3))
    world.actor.ask(tidings.Introduce(), timeout=PATIENCE_S)
    media = Manager(world.house, Eraser(world.house.store, world.house.config)).media("shop", "m1")
    with media.file:
        assert (media.file.read(), media.size) == (b"png", 3)


@pytest.mark.parametrize("place", ["media", "media/i"])
def test_where_the_disk_takes_no_file_its_reader_is_told_to_come_again(
    world: World, tmp_path: Path, place: str
) -> None:
    an_image(world)
    world.actor.ask(tidings.Introduce(), timeout=PATIENCE_S)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("in the way")
    with pytest.raises(Unavailable, match="could not be kept"):
        Manager(world.house, Eraser(world.house.store, world.house.config)).media("shop", "m1")


@pytest.mark.parametrize("waits", [True, False])
def test_a_message_that_may_not_go_now_has_no_url_fetched(world: World, waits: bool) -> None:
    world.actor.ask(ConfigurePacing(pacing=Pacing(per_minute=0.001)), timeout=PATIENCE_S)
    first = SendMessage(command_id="c1", number="5511987654321", content=Text(text="Olá"))
    world.actor.ask(tidings.Accept(command=first), timeout=PATIENCE_S).result(PATIENCE_S)
    manager = Manager(world.house, Eraser(world.house.store, world.house.config))
    draft = Draft(to="5511987654321", content=Image())
    with socket.create_server(("127.0.0.1", 0)) as files:
        with pytest.raises(SendingTooFast):
            (manager.send if waits else manager.accept)("shop", draft, f"http://127.0.0.1:{files.getsockname()[1]}/")
        files.setblocking(False)
        with pytest.raises(BlockingIOError):
            files.accept()


def test_a_file_is_kept_for_as_long_as_its_message_waits(world: World, tmp_path: Path) -> None:
    outbox = Outbox(world.house.config)
    waiting, refused = outbox.take([b"x"]), outbox.take([b"y"])
    for parcel in (waiting, refused):
        os.utime(outbox.path(parcel.id), (0, 0))
    command = SendMessage(command_id=waiting.id, number="55", content=Image())
    world.actor.ask(tidings.Accept(command=command), timeout=PATIENCE_S).result(PATIENCE_S)
    assert world.host.next(frames.Transmit).file == str(outbox.path(waiting.id).absolute())
    tidy_media(world.house)
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == [waiting.id]
    failed = frames.SocketFailedToSend(command_id=waiting.id, reason="refused", detail="")
    world.tell(failed, 1)
    world.actor.ask(tidings.Introduce(), timeout=PATIENCE_S)
    assert list((tmp_path / "outbox").iterdir()) == []


def test_a_vote_that_comes_with_its_poll_is_told_in_words(world: World) -> None:
    poll = {"options": ["já", "depois"]}
    vote = {"message": {"messageId": "m1"}, "options": [hashlib.sha256("já".encode()).hexdigest()]}
    world.tell(msgspec.structs.replace(received("m1"), kind="poll", content=json.dumps(poll)), 1)
    world.tell(msgspec.structs.replace(received("m2"), kind="poll_vote", content=json.dumps(vote)), 2)
    world.actor.ask(tidings.Introduce(), timeout=PATIENCE_S)
    stored: list[Any] = [record.event for record in world.store.read(types={"message.received"})]
    assert msgspec.json.decode(stored[1].content)["chosen"] == ["já"]
