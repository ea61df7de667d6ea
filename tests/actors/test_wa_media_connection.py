"""What the library would not say is overheard, and it is left as it was."""

import pytest

from chatbot_erp.actors.wa_client import LibraryError, MediaConnection
from chatbot_erp.actors.wa_media_connection import NOWHERE, overhear

TOLD = (
    'failed to execute request: Post "https://media-gru1-1.cdn.whatsapp.net/mms/document/bjQLnP==?auth=AWv%2Bx_1%3D'
    '&token=bjQLnP%3D%3D": proxyconnect tcp: dial tcp 127.0.0.1:0: connect: connection refused'
)


class Library:
    """Fails an upload with these words, or not at all."""

    def __init__(self, words: str | None) -> None:
        self.words = words
        self.proxies: list[str | None] = []

    def upload(self) -> None:
        assert self.proxies == [NOWHERE]
        if self.words is not None:
            raise LibraryError(self.words)


@pytest.mark.parametrize("proxy", ["http://proxy:3128", None])
def test_host_and_proof_are_read_and_the_proxy_is_what_it_was(
    monkeypatch: pytest.MonkeyPatch, proxy: str | None
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    if proxy is not None:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    library = Library(TOLD)
    connection = overhear(library.upload, library.proxies.append)
    assert connection == MediaConnection("media-gru1-1.cdn.whatsapp.net", "AWv+x_1=")
    assert library.proxies == [NOWHERE, proxy]


@pytest.mark.parametrize("words", ["failed to refresh media connections: websocket not connected", None])
def test_whatever_else_happens_is_an_error_and_the_proxy_is_what_it_was(
    monkeypatch: pytest.MonkeyPatch, words: str | None
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "*")
    library = Library(words)
    with pytest.raises(LibraryError, match=words):
        overhear(library.upload, library.proxies.append)
    assert library.proxies == [NOWHERE, None]
