"""What a message can say that is only ever received here: answers to polls, buttons and lists, and what shops send."""

from chatbot_erp.actors.contents import Content, Part, Reference, Saying


class PollVote(Content, frozen=True, kw_only=True, tag="poll_vote"):
    """All that one person chooses in a poll, in place of what that person chose before; none takes the vote back.

    `options` are the SHA-256 of the chosen options in hex, `chosen` their words where the log has the poll. `sealed`:
    it could not be decrypted, and what was chosen is unknown.
    """

    message: Reference
    options: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    sealed: bool = False


class ButtonReply(Saying, frozen=True, kw_only=True, tag="button_reply"):
    """A button that was pressed; `text` is what it says. `parameters` is JSON text, of forms and the like."""

    id: str = ""
    parameters: str = ""


class ListReply(Saying, frozen=True, kw_only=True, tag="list_reply"):
    """A row that was chosen from a list; `text` is its title."""

    id: str = ""
    description: str = ""


class Choice(Part, frozen=True, kw_only=True):
    """Something to choose: `id` comes back in the answer, where WhatsApp has one."""

    id: str
    title: str
    description: str = ""


class Offer(Saying, frozen=True, kw_only=True):
    """Words with something to choose beneath."""

    choices: tuple[Choice, ...] = ()


class Buttons(Offer, frozen=True, kw_only=True, tag="buttons"):
    """With buttons."""


class List(Offer, frozen=True, kw_only=True, tag="list"):
    """With a list that opens."""


class Template(Offer, frozen=True, kw_only=True, tag="template"):
    """With buttons, from a template that WhatsApp approved."""


class Interactive(Offer, frozen=True, kw_only=True, tag="interactive"):
    """With buttons of the newer kind."""


class GroupInvite(Saying, frozen=True, kw_only=True, tag="group_invite"):
    """An invitation into a group: with `code` one can join until `expires_at` (Unix seconds)."""

    group: str = ""
    name: str = ""
    code: str = ""
    expires_at: int = 0


class Appointment(Saying, frozen=True, kw_only=True, tag="event"):
    """Something that takes place; `text` is its name. `starts_at` in Unix seconds."""

    description: str = ""
    starts_at: int = 0


class Order(Saying, frozen=True, kw_only=True, tag="order"):
    """Somebody orders from a shop's catalog; `text` is what was written with it."""

    id: str = ""
    title: str = ""
    items: int = 0


class Product(Saying, frozen=True, kw_only=True, tag="product"):
    """A product from a shop's catalog."""

    id: str = ""
    title: str = ""


class Album(Saying, frozen=True, kw_only=True, tag="album"):
    """The announcement of so many images and videos, which follow as messages of their own."""

    images: int = 0
    videos: int = 0


class Unknown(Content, frozen=True, kw_only=True, tag="unknown"):
    """Something for which there is no type here yet: it stands in `raw` only. `field` is what WhatsApp calls it."""

    field: str
