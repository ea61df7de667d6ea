"""Files are ordered from the host, arrive or fail with a reason, and are kept or gone."""

import base64
import json
import os
import queue
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.downloads import MOST, Downloads
from chatbot_erp.actors.errors import InstanceNotOperational, MediaGone, MediaUnavailable, Unavailable
from chatbot_erp.actors.host_downloads import WANTED_AT_ONCE
from chatbot_erp.actors.host_downloads import Downloads as HostDownloads
from chatbot_erp.actors.media_files import FORGOTTEN_AFTER, MediaFiles
from chatbot_erp.actors.media_frames import FetchMedia, SocketFailedToFetch, SocketFetched
from chatbot_erp.actors.media_specs import LARGEST, Media, media_in
from chatbot_erp.actors.wa_media import Fetcher, FetchFailed
from fake_sockets import PATIENCE_S
from waiting import wait_until

KEY = base64.b64encode(b"k" * 32).decode()
RAW = msgspec.Raw(json.dumps({"imageMessage": {"directPath": "/v", "mediaKey": KEY}}).encode())
MEDIA = cast(Media, media_in(RAW, "m"))
NOW = datetime.now(UTC)


class Desk:
    """An instance's downloads, and the orders that it gives."""

    def __init__(self, directory: Path, *, keep_days: float = 0.0, has_host: bool = True) -> None:
        self.orders: list[FetchMedia] = []
        self.files = MediaFiles(Config(data_dir=directory, media_keep_days=keep_days))

        def give(order: Any) -> bool:
            if has_host:
                self.orders.append(order)
            return has_host

        self.losses = 0
        self.missed: list[tuple[str, str]] = []
        self.downloads = Downloads(
            "i",
            self.files,
            give,
            lambda: self.losses,
            lambda message_id, reason: self.missed.append((message_id, reason)),
        )

    def arrive(self, content: bytes = b"x") -> None:
        order = self.orders.pop(0)
        Path(order.target).write_bytes(content)
        self.downloads.settle(SocketFetched(command_id=order.command_id, size=len(content)))

    def fail(self, reason: Any) -> None:
        order = self.orders.pop(0)
        self.downloads.settle(SocketFailedToFetch(command_id=order.command_id, reason=reason, detail="why"))


def test_an_ordered_file_arrives_and_is_gone_when_it_has_been_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    target = desk.files.new("i")
    arrived = desk.downloads.order(MEDIA, target)
    desk.arrive(b"content")
    arrived.result(0)
    with desk.files.take("i", MEDIA, target, NOW) as file:
        assert not list((tmp_path / "media" / "i").iterdir())
        assert file.read() == b"content"


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("gone", MediaGone),
        ("unreachable", MediaUnavailable),
        ("damaged", MediaUnavailable),
        ("large", MediaUnavailable),
        ("disk", Unavailable),
        ("interrupted", Unavailable),
    ],
)
def test_a_failure_has_its_own_error(tmp_path: Path, reason: str, error: type[Exception]) -> None:
    desk = Desk(tmp_path)
    arrived = desk.downloads.order(MEDIA, desk.files.new("i"))
    desk.fail(reason)
    with pytest.raises(error, match="why"):
        arrived.result(0)


def test_without_a_host_nothing_is_ordered_and_with_too_many_orders_no_more_are(tmp_path: Path) -> None:
    with pytest.raises(InstanceNotOperational):
        Desk(tmp_path, has_host=False).downloads.order(MEDIA, tmp_path / "x")
    desk = Desk(tmp_path)
    for _ in range(MOST):
        desk.downloads.order(MEDIA, tmp_path / "x")
    with pytest.raises(Unavailable):
        desk.downloads.order(MEDIA, tmp_path / "x")


def test_a_host_that_is_gone_fails_what_was_ordered_and_its_late_word_is_nobodys(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    arrived = desk.downloads.order(MEDIA, desk.files.new("i"))
    desk.downloads.give_up()
    with pytest.raises(Unavailable):
        arrived.result(0)
    desk.fail("gone")


def test_nothing_is_fetched_ahead_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.downloads.keep("m", RAW)
    assert not desk.orders
    assert not (tmp_path / "media").exists()


def test_a_file_is_kept_no_longer_than_words_are(tmp_path: Path) -> None:
    files = MediaFiles(Config(data_dir=tmp_path, media_keep_days=30, content_keep_days=3))
    for name, days in (("old", 4), ("new", 2)):
        path = files.new("i").with_name(name)
        path.touch()
        moment = (NOW - timedelta(days=days)).timestamp()
        os.utime(path, (moment, moment))
    files.tidy(NOW, {"i"})
    assert [path.name for path in (tmp_path / "media" / "i").iterdir()] == ["new"]
    assert not MediaFiles(Config(data_dir=tmp_path, content_keep_days=3)).keeps


@pytest.mark.parametrize("media_keep_days", [2, 30])
def test_a_file_that_is_fetched_late_is_kept_no_longer_than_the_words_that_it_came_with(
    tmp_path: Path, media_keep_days: float
) -> None:
    files = MediaFiles(Config(data_dir=tmp_path, media_keep_days=media_keep_days, content_keep_days=3))
    download = files.new("i")
    download.write_bytes(b"x")
    files.take("i", MEDIA, download, NOW - timedelta(days=2)).close()
    files.tidy(NOW + timedelta(hours=23), {"i"})
    assert files.has("i", MEDIA)
    files.tidy(NOW + timedelta(hours=25), {"i"})
    assert not files.any()


def test_a_file_that_comes_after_somebody_was_forgotten_is_not_kept(tmp_path: Path) -> None:
    desk = Desk(tmp_path, keep_days=1)
    desk.downloads.keep("m", RAW)
    desk.losses += 1
    desk.arrive()
    assert not list((tmp_path / "media" / "i").iterdir())


def test_what_is_fetched_ahead_is_kept_and_not_fetched_twice(tmp_path: Path) -> None:
    desk = Desk(tmp_path, keep_days=1)
    desk.downloads.keep("m", RAW)
    assert desk.orders[0].ahead
    assert desk.files.open("i", MEDIA) is None
    desk.arrive(b"kept")
    file = desk.files.open("i", MEDIA)
    assert file is not None
    with file:
        assert file.read() == b"kept"
    desk.downloads.keep("m", RAW)
    assert not desk.orders


@pytest.mark.parametrize("has_host", [True, False])
def test_what_cannot_be_fetched_ahead_is_no_error(tmp_path: Path, has_host: bool) -> None:
    desk = Desk(tmp_path, keep_days=1, has_host=has_host)
    desk.downloads.keep("m", RAW)
    if has_host:
        desk.fail("gone")
    assert desk.files.open("i", MEDIA) is None
    assert desk.missed == [("m", "gone" if has_host else "interrupted")]


def test_what_is_fetched_ahead_is_bounded_and_leaves_some_of_the_disk_and_whatever_is_missed_is_said(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path, keep_days=1)
    desk.downloads.order(MEDIA, tmp_path / "wanted")
    assert (desk.orders[0].most, desk.orders[0].spare) == (LARGEST, 512 << 20)
    desk.downloads.keep("m0", RAW)
    assert (desk.orders[1].most, desk.orders[1].spare) == (100 << 20, 512 << 20)
    for number in range(1, MOST):
        desk.downloads.keep(f"m{number}", RAW)
    assert desk.missed == [(f"m{MOST - 1}", "crowded")]
    del desk.orders[0]
    desk.fail("large")
    desk.downloads.give_up()
    assert desk.missed[1:] == [("m0", "large"), *((f"m{number}", "interrupted") for number in range(1, MOST - 1))]


def test_files_are_erased_when_they_are_too_old_unfinished_or_of_an_instance_that_is_no_more(tmp_path: Path) -> None:
    files = MediaFiles(Config(data_dir=tmp_path, media_keep_days=1))

    def lay(path: Path, age: timedelta) -> Path:
        path.write_bytes(b"x")
        at = (NOW - age).timestamp()
        os.utime(path, (at, at))
        return path

    fresh = lay(files.new("i").with_suffix(""), timedelta(hours=23))
    fresh_part = lay(files.new("i"), timedelta(minutes=1))
    lay(files.new("i").with_suffix(""), timedelta(hours=25))
    lay(files.new("i"), FORGOTTEN_AFTER + timedelta(minutes=1))
    lay(files.new("removed").with_suffix(""), timedelta())
    files.tidy(NOW, {"i"})
    assert {path for path in (tmp_path / "media").rglob("*") if path.is_file()} == {fresh, fresh_part}


class SlowFetcher(Fetcher):
    """Fetches when the test lets it; knows how many it is at."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.released: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def fetch(self, media: Media, target: Path, *, most: int, spare: int = 0) -> int:
        self.begun.put(target.name)
        failure = self.released.get(timeout=60)
        if failure is not None:
            raise failure
        return 7


def fetch(name: str, *, ahead: bool = False) -> FetchMedia:
    return FetchMedia(instance="i", command_id=name, target=f"/{name}", media=MEDIA, most=1, spare=0, ahead=ahead)


def test_a_wanted_file_does_not_wait_behind_those_that_are_fetched_ahead() -> None:
    fetcher = SlowFetcher()
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()
    downloads = HostDownloads(lambda instance, seen: said.put(seen), fetcher)
    for number in range(5):
        downloads.begin(fetch(f"ahead{number}", ahead=True))
    downloads.begin(fetch("wanted"))
    assert {fetcher.begun.get(timeout=60), fetcher.begun.get(timeout=60)} == {"ahead0", "wanted"}
    for _ in range(6):
        fetcher.released.put(None)
    assert {said.get(timeout=60).command_id for _ in range(6)} == {"wanted", *(f"ahead{n}" for n in range(5))}


@pytest.mark.parametrize(
    ("failure", "reason"), [(FetchFailed("gone", "410"), "gone"), (RuntimeError("a mistake of ours"), "damaged")]
)
def test_whatever_goes_wrong_the_one_who_waits_is_told(failure: Exception, reason: str) -> None:
    fetcher = SlowFetcher()
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()
    HostDownloads(lambda instance, seen: said.put(seen), fetcher).begin(fetch("a"))
    fetcher.released.put(failure)
    assert said.get(timeout=60).reason == reason


def test_a_host_that_ends_says_so_to_all_who_wait_for_a_file_whatever_that_waits_for() -> None:
    fetcher = SlowFetcher()
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()
    downloads = HostDownloads(lambda instance, seen: said.put(seen), fetcher)
    names = {f"wanted{number}" for number in range(WANTED_AT_ONCE + 1)}
    for name in names:
        downloads.begin(fetch(name))
    downloads.end()
    told = [said.get_nowait() for _ in names]
    assert {(each.command_id, each.reason) for each in told} == {(name, "interrupted") for name in names}
    for _ in names:
        fetcher.released.put(None)
    downloads.begin(fetch("last"))
    fetcher.released.put(None)
    assert said.get(timeout=PATIENCE_S) == SocketFetched(command_id="last", size=7)


def test_a_file_that_was_said_to_be_there_stays_though_its_host_ends_just_then(tmp_path: Path) -> None:
    fetcher = SlowFetcher()
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()
    target = tmp_path / "b.part"

    def say(instance: str, seen: Any) -> None:
        said.put(seen)
        if seen.command_id == "a":  # told to be interrupted; meanwhile the other one comes
            target.touch()
            for _ in "ab":
                fetcher.released.put(None)
            assert said.get(timeout=PATIENCE_S) == seen
            said.put(said.get(timeout=PATIENCE_S))

    downloads = HostDownloads(say, fetcher)
    downloads.begin(msgspec.structs.replace(fetch("a"), target=str(tmp_path / "a.part")))
    downloads.begin(msgspec.structs.replace(fetch("b"), target=str(target)))
    downloads.end()
    assert said.get(timeout=PATIENCE_S) == SocketFetched(command_id="b", size=7)
    assert said.empty()
    assert target.exists()


def test_a_file_that_is_there_when_its_host_has_said_that_it_is_interrupted_does_not_stay(tmp_path: Path) -> None:
    fetcher = SlowFetcher()
    downloads = HostDownloads(lambda instance, seen: None, fetcher)
    target = tmp_path / "late.part"
    downloads.begin(msgspec.structs.replace(fetch("late"), target=str(target)))
    fetcher.begun.get(timeout=PATIENCE_S)
    target.touch()
    downloads.end()
    assert target.exists()
    fetcher.released.put(None)
    wait_until(lambda: not target.exists())
