"""Which addresses a webhook may reach: row 18 of the fault matrix, and what it forgot."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_erp.actors.errors import BadWebhookUrl
from chatbot_erp.actors.webhook_address import Deny, check_url, literal, target

PRIVATE = ("private",)

METADATA = [
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.254.170.2",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[::ffff:0:169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::169.254.169.254]",
    "[64:ff9b:1:a9fe:a9:fe00::]",
    "[64:ff9b:1:7a9:fe:a9fe::]",
    "[64:ff9b:1:7:a9:fea9:fe00::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:a9fe:a9fe::1]",
    "[2001:0:808:808:0:0:5601:5601]",
    "[2001:db9::5efe:169.254.169.254]",
    "[2001:db9::200:5efe:169.254.169.254]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254.",
]

INSIDE = [
    "127.0.0.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0177.1",
    "127.1",
    "0x7f.1",
    "0x7F000001",
    "017700000001",
    "0",
    "0.0.0.0",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "localhost",
    "LOCALHOST.",
    "foo.localhost",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.127.255.255",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::10.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::]",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[fec0::1]",
    "[ff02::1]",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "[::ffff:10.0.0.1]",
    "192.0.0.8",
    "192.88.99.1",
    "[100::1]",
    "[100:0:0:1::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[64:ff9b:1::808:808]",
    "[4000::1]",
    "１２７.０.０.１",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
]

OUTSIDE = [
    "8.8.8.8",
    "example.com",
    "[2606:4700::1111]",
    "172.32.0.1",
    "100.128.0.1",
    "134744072",
    "[64:ff9b::808:808]",
    "[::ffff:8.8.8.8]",
    "[2002:808:808::1]",
]


@pytest.mark.parametrize("host", METADATA)
@pytest.mark.parametrize("deny", [(), PRIVATE])
def test_cloud_metadata_and_link_local_are_refused_whatever_the_setting(host: str, deny: tuple[str, ...]) -> None:
    with pytest.raises(BadWebhookUrl, match="denied|read"):
        check_url(f"http://{host}/latest/meta-data", deny)


@pytest.mark.parametrize("host", INSIDE)
def test_the_word_private_refuses_every_way_to_write_an_inner_address(host: str) -> None:
    with pytest.raises(BadWebhookUrl, match="denied|read"):
        check_url(f"https://{host}:8443/hook", PRIVATE)


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "[::1]", "localhost", "192.168.0.7"])
def test_without_it_a_receiver_may_stand_on_this_machine_or_next_to_it(host: str) -> None:
    check_url(f"http://{host}:5000/hook?token=1", ())


@pytest.mark.parametrize("host", OUTSIDE)
@pytest.mark.parametrize("deny", [(), PRIVATE])
def test_the_internet_is_allowed(host: str, deny: tuple[str, ...]) -> None:
    check_url(f"https://{host}/hook", deny)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hook",
        "//example.com/hook",
        "example.com/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///hook",
        "http://./",
        "http://:80/",
        "http://user@example.com/",
        "http://user:pass@example.com/",
        "http://@example.com/",
        "http://8.8.8.8@127.0.0.1/",
        "http://127.0.0.1\\@example.com/",
        "http://example.com\\.evil/",
        "http://exa mple.com/",
        "http://example.com/\r\nX: y",
        "http://example.com/\x00",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:x/",
        "http://[::1/",
        "http://[127.0.0.1]/",
        "http://\ud800.com/",
        "http://example.com/" + "a" * 2048,
    ],
)
def test_what_is_no_url_for_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(BadWebhookUrl):
        check_url(url, ())


def test_a_url_may_be_two_thousand_and_forty_eight_characters_long() -> None:
    check_url("http://example.com/".ljust(2048, "a"), ())


@given(st.text(max_size=80))
def test_any_text_is_refused_or_taken_apart_and_nothing_else_happens(text: str) -> None:
    for url in (text, f"http://{text}", f"https://{text}/hook", f"http://example.com{text}"):
        try:
            parts = target(url)
        except BadWebhookUrl:
            continue
        assert parts.scheme in ("http", "https")
        assert parts.host
        assert 0 < parts.port < 65536
        assert parts.path.isascii()
        assert not set(" \r\n") & set(parts.path + parts.host)


SPECIAL = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
"""IANA's registries of special-purpose addresses, those that are not globally reachable, and multicast."""


@given(st.sampled_from(SPECIAL).flatmap(lambda network: st.ip_addresses(network=network)))
def test_no_special_address_of_any_registry_is_public(address: IPv4Address | IPv6Address) -> None:
    assert Deny.of(PRIVATE).forbids(str(address)) is not None


@given(st.ip_addresses(v=6))
def test_of_ipv6_only_global_unicast_and_what_stands_for_ipv4_is_public(address: IPv6Address) -> None:
    if Deny.of(PRIVATE).forbids(str(address)) is None:
        assert any(address in ip_network(network) for network in ("2000::/3", "64:ff9b::/96", "::ffff:0:0/96"))


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_every_disguise(address: IPv4Address) -> None:
    deny, number = Deny.of(PRIVATE), int(address)
    plain = deny.forbids(str(address)) is not None
    for value in (0xFFFF << 32 | number, 0x64_FF9B << 96 | number, 0x2002 << 112 | number << 80 | 1 << 64):
        assert (deny.forbids(str(IPv6Address(value))) is not None) == plain
    for text in (str(number), hex(number), f"0{number:o}", "0x" + f"{number:08X}"):
        assert literal(text) == str(address)


def test_an_operator_names_more_networks_to_deny_and_exceptions() -> None:
    deny = Deny.of(("private", "203.0.114.0/24", "!10.7.0.0/16", "!fd00::/8"))
    assert deny.forbids("203.0.114.9") == "203.0.114.0/24"
    assert deny.forbids("10.8.0.1") == "private"
    assert deny.forbids("10.7.0.1") is None
    assert deny.forbids("::ffff:10.7.0.1") is None
    assert deny.forbids("fd12::1") is None


def test_a_word_that_is_no_network_is_said_so() -> None:
    with pytest.raises(ValueError, match="'privat' is neither"):
        Deny.of(("privat",))
