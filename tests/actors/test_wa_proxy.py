"""Files go to WhatsApp's media servers the way the library goes: through the same proxy, with its password."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
import urllib3
from pytest_httpserver import HTTPServer

from chatbot_erp.actors.wa_proxy import pool_for, proxy_for
from loopback_proxy import PASSWORD, USER, LoopbackProxy

HOST = "media.example"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackProxy]:
    """In front of a media server that proves with TLS that it is `HOST`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    with HTTPServer(ssl_context=context) as server, LoopbackProxy(server.port) as proxy:
        server.expect_request("/file").respond_with_data(b"file")
        yield proxy


def get() -> bytes:
    with pool_for(f"https://{HOST}") as pool:
        return pool.request("GET", f"https://{HOST}/file", retries=False, timeout=60.0).data


@pytest.mark.parametrize("scheme", ["http://", "", "socks5://", "socks5h://"])
def test_a_proxy_is_shown_its_password_and_finds_the_server_itself(
    monkeypatch: pytest.MonkeyPatch, proxy: LoopbackProxy, scheme: str
) -> None:
    password = quote(PASSWORD, safe="")
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}{USER}:{password}@127.0.0.1:{proxy.port}")
    assert get() == b"file"
    assert (proxy.asked, proxy.refused) == ([HOST], 0)


@pytest.mark.parametrize("scheme", ["http://", "socks5://"])
@pytest.mark.parametrize("auth", ["", "loja:wrong@"])
def test_a_proxy_that_lets_nobody_in_is_an_error_without_the_password(
    monkeypatch: pytest.MonkeyPatch, proxy: LoopbackProxy, scheme: str, auth: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}{auth}127.0.0.1:{proxy.port}")
    with pytest.raises(urllib3.exceptions.HTTPError) as refused:
        get()
    assert "wrong" not in str(refused.value)
    assert proxy.asked == []


@pytest.mark.parametrize("address", ["http://loja:secret@[::1", "ftp://loja:secret@proxy", "socks5://loja:secret@"])
def test_a_proxy_that_makes_no_sense_is_an_error_without_the_password(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(urllib3.exceptions.HTTPError) as refused:
        get()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("named", "known"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("proxy:3128", "http://proxy:3128"),
        ("https://proxy", "https://proxy"),
        ("socks5://a:b@proxy", "socks5://a:b@proxy"),
        ("socks5h://proxy", "socks5://proxy"),
    ],
)
def test_the_library_is_told_of_a_proxy_in_words_it_knows(
    monkeypatch: pytest.MonkeyPatch, named: str, known: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", named)
    assert proxy_for(HOST) == known
    monkeypatch.setenv("NO_PROXY", HOST)
    assert proxy_for(HOST) is None
