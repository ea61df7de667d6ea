"""Where the library uploads to, and with what proof: it has both from WhatsApp and hands them on nowhere.

But an upload that cannot be dialled fails with a text that says where it would have gone, proof and all (whatsmeow,
upload.go rawUpload; net/url's Error). So it is given a proxy that is none, for the one byte that is never sent. For a few
milliseconds the library's own downloads (a history, large app states) fail too; they are rare, and it asks again.
"""

import re
from collections.abc import Callable
from urllib.parse import unquote_plus

from chatbot_erp.actors.wa_client import LibraryError, MediaConnection
from chatbot_erp.actors.wa_proxy import proxy_for

NOWHERE = "http://127.0.0.1:0"
MEDIA_HOST = "mmg.whatsapp.net"
_UPLOAD = re.compile(r'"https://(?P<host>[a-z0-9.-]+)/mms/[^"?]*\?auth=(?P<auth>[^&"]+)')


def overhear(upload: Callable[[], object], dial_by: Callable[[str | None], None]) -> MediaConnection:
    """Have `upload` fail and read why; `dial_by` sets the proxy for media, None is none.

    Raises `LibraryError` where it says something else, as without a connection.
    """
    dial_by(NOWHERE)
    try:
        upload()
    except LibraryError as ex:
        told = _UPLOAD.search(str(ex))
        if told is None:
            raise
        return MediaConnection(told["host"], unquote_plus(told["auth"]))
    finally:
        dial_by(proxy_for(MEDIA_HOST))
    raise LibraryError("an upload to nowhere went through")
