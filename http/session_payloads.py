"""What the dashboard sends to sign in, and what it is told of its session."""

from typing import Annotated

from msgspec import Meta

from chatbot_erp.actors.api_keys import Grant, Scope
from chatbot_erp.http.payloads import Payload


class SignInRequest(Payload, frozen=True, kw_only=True):
    """A key, from the dashboard."""

    key: Annotated[str, Meta(description="An API key, as calls send it.")]


class SessionView(Payload, frozen=True, kw_only=True):
    """What the browser that asks may do."""

    signed_in: Annotated[bool, Meta(description="Also true where no key is needed.")]
    needs_key: Annotated[bool, Meta(description="false where the manager serves every program of its machine.")]
    scopes: Annotated[list[Scope], Meta(description="What the key allows; `manage` stands there with all it includes.")]
    instances: Annotated[list[str] | None, Meta(description="The key is for these only; null: all.")]
    sandbox: Annotated[bool, Meta(description="Whether WhatsApp is the built-in loopback network.")]


def session(grant: Grant | None, *, needs_key: bool, sandbox: bool) -> SessionView:
    instances = sorted(grant.instances) if grant is not None and grant.instances is not None else None
    scopes = [scope for scope in Scope if grant is not None and grant.allows(scope)]
    return SessionView(
        signed_in=grant is not None, needs_key=needs_key, scopes=scopes, instances=instances, sandbox=sandbox
    )
