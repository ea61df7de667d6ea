"""An entry of an address book as the vCard that phones take in (RFC 2426, and WhatsApp's `waid`)."""

import re

from chatbot_erp.actors.contents import Card

_SPECIAL = re.compile(r"([\\,;])")
_BREAKS = re.compile(r"\r\n|[\r\n]")


def vcard(card: Card) -> str:
    """The card's own vCard, or one of its name and numbers."""
    if card.vcard:
        return card.vcard
    name = _BREAKS.sub(r"\\n", _SPECIAL.sub(r"\\\1", card.name))
    numbers = (f"TEL;type=CELL;type=VOICE;waid={number}:+{number}" for number in card.numbers)
    return "\n".join(("BEGIN:VCARD", "VERSION:3.0", f"N:;{name};;;", f"FN:{name}", *numbers, "END:VCARD"))
