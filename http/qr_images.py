"""Pictures of a QR text: for browsers, for print, for terminals."""

from collections.abc import Callable
from io import BytesIO, StringIO

import segno

MODULE_PX = 8


def png(text: str) -> bytes:
    """A PNG with a quiet zone, large enough for a phone at arm's length."""
    picture = BytesIO()
    draw(text).save(picture, kind="png", scale=MODULE_PX)
    return picture.getvalue()


def svg(text: str) -> bytes:
    """An SVG on white, so that it scans on a dark page too."""
    picture = BytesIO()
    draw(text).save(picture, kind="svg", scale=MODULE_PX, light="white")
    return picture.getvalue()


def terminal(text: str) -> bytes:
    """Half blocks for a terminal with light letters on a dark ground."""
    picture = StringIO()
    draw(text).terminal(picture, compact=True)
    return picture.getvalue().encode()


def draw(text: str) -> segno.QRCode:
    """The code with the fewest modules: screens need no error correction."""
    return segno.make_qr(text, error="l")


FORMS: dict[str, Callable[[str], bytes]] = {
    "image/png": png,
    "image/svg+xml": svg,
    "text/plain; charset=utf-8": terminal,
}
"""Media type → how it is drawn; a caller without a wish gets the first."""
