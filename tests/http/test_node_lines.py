"""Which lines to other nodes are cut, and which are not."""

import socket

import pytest
import urllib3

from chatbot_erp.http.node_lines import Lines, address


def test_a_line_to_a_node_that_lives_is_not_cut_however_its_name_is_written() -> None:
    lines = Lines()
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        line = lines.plain.ConnectionCls("localhost", port)
        line.connect()
        assert line.sock is not None
        lines.cut_all_but(["http://10.0.0.5:3000", f"http://LocalHost.:{port}"])
        assert line.sock.send(b"x") == 1
        lines.cut_all_but(["http://10.0.0.5:3000", "http://"])
        with pytest.raises(BrokenPipeError):
            line.sock.send(b"x")
        line.close()


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://Node.:3000", "node", 3000),
        ("https://bücher.example", "xn--bcher-kva.example", 443),
        ("http://[FE80::1%25eth0]:3000", "fe80::1%eth0", 3000),
        ("http://[::1]/behind", "::1", 80),
    ],
)
def test_an_address_is_what_the_lines_of_its_node_have(url: str, host: str, port: int) -> None:
    assert address(url) == (host, port)
    assert urllib3.PoolManager().connection_from_url(url).host.rstrip(".") == host
