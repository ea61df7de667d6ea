"""The way to WhatsApp's media servers: direct, or through the proxy that the environment names, as the library goes."""

import ssl
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from urllib3.contrib.socks import SOCKSProxyManager

SOCKS = "socks5://"


def proxy_for(host: str) -> str | None:
    """The proxy to `host`, as an http, https or socks5 URL that may hold a password; None is none."""
    proxy = None if proxy_bypass(host) else getproxies().get("https")
    if not proxy:
        return None
    if "://" not in proxy:
        return f"http://{proxy}"
    # Names are looked up at the proxy either way; the library knows one word for it.
    return proxy.replace("socks5h://", SOCKS, 1)


def pool_for(origin: str) -> urllib3.PoolManager:
    """Connections to there. Raises `urllib3.exceptions.HTTPError` for a proxy that makes no sense, without its password."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    proxy = proxy_for(urllib3.util.parse_url(origin).host or "")
    if proxy is None:
        return urllib3.PoolManager(ssl_context=context)
    try:
        auth = urllib3.util.parse_url(proxy).auth or ""
    except urllib3.exceptions.LocationParseError:
        raise urllib3.exceptions.HTTPError("The address of the proxy cannot be read.") from None
    if proxy.startswith(SOCKS):
        user, _, password = auth.partition(":")
        return SOCKSProxyManager(
            proxy.replace(SOCKS, "socks5h://", 1),
            username=unquote(user),
            password=unquote(password),
            ssl_context=context,
        )
    # Latin-1 is what urllib3 encodes it with: so the octets are those that the URL spells.
    headers = urllib3.make_headers(proxy_basic_auth=unquote(auth, "latin-1")) if auth else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, ssl_context=context)
