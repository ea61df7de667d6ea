"""Which addresses a webhook may reach. Pure: names are resolved by whoever dials (webhook_dial.py).

A URL is looked at twice, with the same parser: when somebody gives it (`check_url`), and each time before a byte goes
out, when the numeric address that is about to be dialled is known (`Deny.forbids`). Only the second look stops a name
that resolves to something else today; the first one tells the caller early.
"""

import re
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from chatbot_erp.actors.errors import BadWebhookUrl

LONGEST_URL = 2048

ALWAYS = {
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "cloud metadata": (
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "fd00:ec2::/32",
        "fd20:ce::254/128",
        "fd00:42::42/128",
    ),
}
"""Denied whatever the setting says; 169.254.169.254 is link-local. No receiver lives there, but credentials do."""

PRIVATE = {
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
    "loopback": ("127.0.0.0/8", "::1/128"),
    "carrier NAT": ("100.64.0.0/10",),
    "unspecified": ("0.0.0.0/8", "::/128"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20"),
}
"""What the word `private` denies as well: these by their names, and all else that is not `is_public`."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
MAPPED = IPv6Network("::ffff:0:0/96")

FORBIDDEN_CHARACTERS = re.compile(r"[\x00-\x20\x7f\\]")
CREDENTIALS = re.compile(r"[^:/?#]*://[^/?#]*@")
OLD_LITERAL = re.compile(r"[0-9a-fx.]+", re.IGNORECASE)
PORTS = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Deny(msgspec.Struct, frozen=True, kw_only=True):
    """The networks no webhook may reach, each with the name of its rule, and the exceptions."""

    denied: tuple[tuple[Network, str], ...]
    allowed: tuple[Network, ...]
    only_public: bool

    @classmethod
    def of(cls, words: tuple[str, ...]) -> "Deny":
        """Read the setting: `private`, networks or addresses to deny, and `!network` for an exception to all rules.

        Raises `ValueError` with a sentence for the operator.
        """
        denied = list(named(ALWAYS))
        allowed: list[Network] = []
        for word in words:
            try:
                if word == "private":
                    denied += named(PRIVATE)
                elif word.startswith("!"):
                    allowed.append(ip_network(word[1:], strict=False))
                else:
                    denied.append((ip_network(word, strict=False), word))
            except ValueError:
                raise ValueError(f"{word!r} is neither `private` nor a network like 10.0.0.0/8.") from None
        return cls(denied=tuple(denied), allowed=tuple(allowed), only_public="private" in words)

    def forbids(self, address: str) -> str | None:
        """The name of the rule against this numeric address (as `getaddrinfo` gives it), or None."""
        faces = tuple(faces_of(ip_address(address)))
        if any(face in network for face in faces for network in self.allowed):
            return None
        for network, rule in self.denied:
            if any(face in network for face in faces):
                return rule
        return None if not self.only_public or all(is_public(face) for face in faces) else "reserved"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a POST goes. `host` has no brackets; `path` has the query and is ready for the request line."""

    scheme: str
    host: str
    port: int
    path: str


def check_url(url: str, deny: tuple[str, ...]) -> None:
    """Refuse a URL that cannot be a webhook's under the setting `deny`. Raises `BadWebhookUrl`; asks no name server."""
    host = target(url).host
    name = host.rstrip(".").lower()
    address = "127.0.0.1" if name == "localhost" or name.endswith(".localhost") else literal(host)
    rule = Deny.of(deny).forbids(address) if address is not None else None
    if rule is not None:
        raise BadWebhookUrl(f"The webhook URL leads to an address that is denied here ({rule}).")


def target(url: str, what: str = "webhook URL") -> Target:
    """Take a URL apart; `what` it is called in a refusal. Raises `BadWebhookUrl`."""
    if len(url) > LONGEST_URL:
        raise BadWebhookUrl(f"The {what} has more than {LONGEST_URL} characters.")
    if FORBIDDEN_CHARACTERS.search(url):
        raise BadWebhookUrl(f"The {what} has a space, a backslash or a control character in it.")
    try:
        url.encode()
        parts = parse_url(url)
    except (LocationParseError, UnicodeError):
        raise BadWebhookUrl(f"The {what} cannot be read as a URL.") from None
    if parts.scheme not in PORTS:
        raise BadWebhookUrl(f"The {what} does not begin with http:// or https://.")
    if parts.auth is not None or CREDENTIALS.match(url):  # the parser overlooks empty ones
        raise BadWebhookUrl(f"The {what} has credentials in it.")
    host = (parts.host or "").removeprefix("[").removesuffix("]")
    if not host.strip("."):
        raise BadWebhookUrl(f"The {what} names no host.")
    if parts.port == 0:
        raise BadWebhookUrl(f"The {what} names port 0.")
    port = parts.port if parts.port is not None else PORTS[parts.scheme]
    return Target(scheme=parts.scheme, host=host, port=port, path=parts.request_uri)


def literal(host: str) -> str | None:
    """The numeric address a host stands for without a name server, or None where it is a name.

    Also in the old ways the C library still reads: 2130706433, 0x7f.1, 0177.1, 127.1.
    """
    host = host.rstrip(".")
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    if OLD_LITERAL.fullmatch(host):
        try:
            return socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            pass
    return None


def is_public(address: Address) -> bool:
    """Whether the internet may lead there, by IANA's registries of special addresses as the interpreter knows them.

    Of IPv6 that is one eighth, and what stands for an IPv4 address: that is judged by itself.
    """
    if isinstance(address, IPv4Address):
        return address.is_global
    return (address in GLOBAL_UNICAST and address.is_global) or address in NAT64 or address in MAPPED


def faces_of(address: Address) -> Iterator[Address]:
    """The address itself and every IPv4 address a translator or tunnel on the way would make of it."""
    yield IPv6Address(int(address)) if isinstance(address, IPv6Address) else address  # without its zone
    if isinstance(address, IPv4Address):
        return
    value = int(address)
    low = value & 0xFFFF_FFFF
    head = value >> 32
    match head:
        case 0 | 0xFFFF | 0xFFFF_0000:  # compatible ::a.b.c.d, mapped ::ffff:a.b.c.d, translated ::ffff:0:a.b.c.d
            yield IPv4Address(low)
        case _ if head == 0x64_FF9B << 64:  # NAT64
            yield IPv4Address(low)
        case _ if head >> 48 == 0x64_FF9B_0001:  # NAT64 of the local network, as /96, /64, /56 and /48 (RFC 6052)
            yield IPv4Address(low)
            yield IPv4Address(value >> 24 & 0xFFFF_FFFF)
            yield IPv4Address((value >> 40 & 0xFF00_0000) | (value >> 32 & 0xFF_FFFF))
            yield IPv4Address((value >> 48 & 0xFFFF_0000) | (value >> 40 & 0xFFFF))
        case _ if head >> 80 == 0x2002:  # 6to4
            yield IPv4Address(value >> 80 & 0xFFFF_FFFF)
        case _ if head >> 64 == 0x2001_0000:  # Teredo: its server, and the client with all bits turned
            yield IPv4Address(value >> 64 & 0xFFFF_FFFF)
            yield IPv4Address(low ^ 0xFFFF_FFFF)
    if head & 0xFDFF_FFFF == 0x5EFE:  # ISATAP
        yield IPv4Address(low)


def named(rules: dict[str, tuple[str, ...]]) -> Iterator[tuple[Network, str]]:
    """A table of rules as pairs."""
    return ((ip_network(network), rule) for rule, networks in rules.items() for network in networks)
