"""The API at a glance: one route a line."""

import falcon

from chatbot_erp.actors.config import Config
from chatbot_erp.actors.house import utc_now
from chatbot_erp.actors.manager import Manager
from chatbot_erp.actors.people import People
from chatbot_erp.http import webhooks
from chatbot_erp.http.auth import Doorkeeper, Gate
from chatbot_erp.http.chats import Presences, ReadMarks
from chatbot_erp.http.error_handlers import add_error_handlers
from chatbot_erp.http.exchange import Exchange, Request, Response
from chatbot_erp.http.forwarding import Forwarder, Router
from chatbot_erp.http.groups import Groups, OneGroup
from chatbot_erp.http.health import Livez, Nodes, Readyz
from chatbot_erp.http.history import Events, PastStates
from chatbot_erp.http.idempotency import Idempotency
from chatbot_erp.http.instances import Creation, Instances, OneInstance, Restart
from chatbot_erp.http.messages import AnyMessages, MessageMedia, Messages, OneMessage
from chatbot_erp.http.metrics import Metrics
from chatbot_erp.http.pages import STATIC, ApiDocument, Page, ProblemPages
from chatbot_erp.http.pairing import PairingCodes, QrCode
from chatbot_erp.http.people import Blocklist, ContactChecks, Persons, Profile
from chatbot_erp.http.playground import Contact, Faults, Playground, Scan
from chatbot_erp.http.sessions import Session, Sessions
from chatbot_erp.http.stream import EventStream
from chatbot_erp.http.subjects import Subject, Verification


class App(falcon.App[Request, Response]):
    """The application; `gate` is asked once more for what it guards, before a large body arrives."""

    gate: Gate


def create_app(manager: Manager, config: Config, playground: Playground | None = None) -> App:
    """The WSGI application that speaks for `manager`; with a playground, where WhatsApp is the sandbox."""
    doorkeeper = Doorkeeper(config, manager.keys)
    sessions = Sessions(doorkeeper, manager.shelf)
    forwarder = Forwarder(manager.store.company, config.http_threads)
    manager.watch_nodes(forwarder.heed)
    app = App(request_type=Request, response_type=Response)
    metrics = Metrics(manager)
    app.add_middleware(Exchange(metrics.answered))
    app.gate = Gate(doorkeeper, sessions.find)
    app.add_middleware(app.gate)
    app.add_middleware(Router(manager.directory, forwarder))
    app.add_middleware(Idempotency(manager.store, utc_now))
    add_error_handlers(app)

    instance = OneInstance(manager, config)
    events = Events(manager)
    app.add_route("/instances", Instances(manager, forwarder))
    app.add_route("/instances/create", Creation(manager, instance))
    app.add_route("/instances/{name}", instance)
    app.add_route("/instances/{name}/qr", QrCode(manager))
    app.add_route("/instances/{name}/pairing-code", PairingCodes(manager))
    app.add_route("/instances/{name}/message", Messages(manager))
    app.add_route("/instances/{name}/messages/{message_id}", OneMessage(manager))
    app.add_route("/instances/{name}/messages", AnyMessages(manager))
    app.add_route("/instances/{name}/messages/{message_id}/media", MessageMedia(manager))
    app.add_route("/instances/{name}/restart", Restart(manager))
    app.add_route("/instances/{name}/events", events, suffix="instance")
    app.add_route("/instances/{name}/state", PastStates(manager))
    _add_people(app, manager.people)
    _add_deliveries(app, manager)
    app.add_route("/events", events)
    app.add_route("/events/stream", EventStream(manager, app.gate.still_opens))
    app.add_route("/audit/verify", Verification(manager))
    subject = Subject(manager)
    app.add_route("/subjects/{number}", subject)
    app.add_route("/subjects/{number}/export", subject, suffix="export")
    app.add_route("/session", Session(doorkeeper, sessions, sandbox=playground is not None))
    app.add_route("/nodes", Nodes(manager, config))
    app.add_route("/livez", Livez())
    app.add_route("/readyz", Readyz(manager))
    app.add_route("/metrics", metrics)
    app.add_route("/openapi.json", ApiDocument(sandbox=playground is not None))
    app.add_route("/problems/{code}", ProblemPages())
    app.add_route("/docs", Page("docs.html"))
    app.add_route("/", Page("index.html"))
    if playground is not None:
        app.add_route("/sandbox/{name}/scan", Scan(manager, playground))
        app.add_route("/sandbox/{name}/message", Contact(manager, playground))
        app.add_route("/sandbox/{name}/faults", Faults(manager, playground))
    app.add_static_route("/static", STATIC)
    return app


def _add_people(app: App, people: People) -> None:
    persons, blocklist, profile = Persons(people), Blocklist(people), Profile(people)
    presences, marks = Presences(people), ReadMarks(people)
    groups, group = Groups(people), OneGroup(people)
    app.add_route("/instances/{name}/contacts/check", ContactChecks(people))
    app.add_route("/instances/{name}/contacts/{number}", persons)
    app.add_route("/instances/{name}/contacts/{number}/picture", persons, suffix="picture")
    app.add_route("/instances/{name}/contacts/{number}/presence", presences, suffix="contact")
    app.add_route("/instances/{name}/chats/{chat}/presence", presences, suffix="chat")
    app.add_route("/instances/{name}/presence", presences)
    app.add_route("/instances/{name}/messages/read", marks)
    app.add_route("/instances/{name}/messages/{message_id}/read", marks, suffix="one")
    app.add_route("/instances/{name}/blocklist", blocklist)
    app.add_route("/instances/{name}/blocklist/{number}", blocklist, suffix="entry")
    app.add_route("/instances/{name}/profile", profile)
    app.add_route("/instances/{name}/profile/picture", profile, suffix="picture")
    app.add_route("/instances/{name}/groups", groups)
    app.add_route("/instances/{name}/groups/join", groups, suffix="join")
    app.add_route("/instances/{name}/groups/{group}", group)
    app.add_route("/instances/{name}/groups/{group}/participants", group, suffix="participants")
    app.add_route("/instances/{name}/groups/{group}/picture", group, suffix="picture")
    app.add_route("/instances/{name}/groups/{group}/invite", group, suffix="invite")
    app.add_route("/instances/{name}/groups/{group}/leave", group, suffix="leave")


def _add_deliveries(app: App, manager: Manager) -> None:
    webhook = "/instances/{name}/webhook"
    app.add_route(webhook, webhooks.Webhook(manager))
    app.add_route(webhook + "/test", webhooks.Trial(manager))
    app.add_route(webhook + "/replay", webhooks.Replay(manager))
    app.add_route(webhook + "/resend/{position}", webhooks.Resend(manager))
    app.add_route(webhook + "/enable", webhooks.Switch(manager, enabled=True))
    app.add_route(webhook + "/disable", webhooks.Switch(manager, enabled=False))
    app.add_route(webhook + "/secret", webhooks.Secret(manager))
    app.add_route(webhook + "/dead", webhooks.DeadLetters(manager))
    app.add_route(webhook + "/redrive", webhooks.Redrive(manager))
