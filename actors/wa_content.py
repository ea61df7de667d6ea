"""What a WhatsApp message says, as a content: wrappers taken off, with what it quotes and whom it mentions."""

import msgspec

from chatbot_erp.actors import contents as c
from chatbot_erp.actors import contents_received as r
from chatbot_erp.actors.wa_kinds import MAKERS, Protobuf, View, plain, words

NESTED_AT_MOST = 8
"""Messages in messages; a peer could go on for ever."""

_NOT_CONTENT = frozenset(
    {
        "messageContextInfo",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
        "groupRootKeyShare",
        "rootSecretDistributeMessage",
        "protocolMessage",
        "keepInChatMessage",
        "pinInChatMessage",
        "messageHistoryBundle",
        "messageHistoryNotice",
        "placeholderMessage",
        "stickerSyncRmrMessage",
        "call",
        "callLogMesssage",
        "bcallMessage",
        "limitSharingMessage",
        "botTaskMessage",
    }
)
"""What devices tell each other, and notices of the system: nobody wrote these."""


def content_of(message: Protobuf, view: View, *, quoted: bool = False, depth: int = 0) -> c.Content | None:
    """What it says, or None where nobody wrote it. Of a `quoted` message, what it quotes itself is left out."""
    for field, value in message.ListFields():
        if field.name in _NOT_CONTENT:
            continue
        make = MAKERS.get(field.name)
        if make is not None:
            return _in_context(make(value, view), value, view, quoted)
        if field.message_type is None or field.message_type.name != "FutureProofMessage" or depth >= NESTED_AT_MOST:
            return r.Unknown(field=field.name)
        inner = content_of(value.message, view, quoted=quoted, depth=depth + 1)
        return seen_once(inner) if inner is not None and field.name.startswith("viewOnce") else inner
    return None


def seen_once(content: c.Content) -> c.Content:
    """The same, to be looked at a single time."""
    if isinstance(content, c.Image | c.Video | c.Voice):
        return msgspec.structs.replace(content, view_once=True)
    return content


def _in_context(content: c.Content, value: Protobuf, view: View, quoted: bool) -> c.Content:
    context = getattr(value, "contextInfo", None)
    if context is None or not isinstance(content, c.Saying):
        return content
    return msgspec.structs.replace(
        content,
        quoting=_quote(context, view) if context.stanzaID and not quoted else None,
        mentions=tuple(map(plain, context.mentionedJID)),
        forwarded=context.isForwarded,
        disappears_after=context.expiration,
    )


def _quote(context: Protobuf, view: View) -> c.Quote:
    quoted = content_of(context.quotedMessage, view, quoted=True)
    sender = plain(context.participant)
    return c.Quote(
        message_id=words(context.stanzaID),
        chat=plain(context.remoteJID) or view.chat,
        sender=sender,
        is_own=sender in view.me,
        kind=c.split(quoted).kind if quoted is not None else "unknown",
        text=quoted.text if quoted is not None else "",
    )
