"""The API at a glance: one route a line."""

import falcon

from chatbot_erp.actors.config import Config, is_loopback
from chatbot_erp.actors.house import utc_now
from chatbot_erp.actors.manager import Manager
from chatbot_erp.http.auth import ApiKey, NoForeignPages
from chatbot_erp.http.error_handlers import add_error_handlers
from chatbot_erp.http.exchange import Exchange, Request, Response
from chatbot_erp.http.health import Livez, Nodes, Readyz
from chatbot_erp.http.history import Events, PastStates
from chatbot_erp.http.idempotency import Idempotency
from chatbot_erp.http.instances import Creation, Instances, OneInstance, Restart
from chatbot_erp.http.messages import Messages
from chatbot_erp.http.metrics import Metrics
from chatbot_erp.http.pages import STATIC, ApiDocument, Page, ProblemPages
from chatbot_erp.http.pairing import PairingCodes, QrCode

App = falcon.App[Request, Response]


def create_app(manager: Manager, config: Config) -> App:
    """The WSGI application that speaks for `manager`."""
    app = App(request_type=Request, response_type=Response)
    app.add_middleware(Exchange())
    if config.api_key is not None:
        app.add_middleware(ApiKey(config.api_key))
    elif is_loopback(config.host):
        app.add_middleware(NoForeignPages())
    app.add_middleware(Idempotency(manager.store, utc_now))
    add_error_handlers(app)

    instance = OneInstance(manager, config)
    events = Events(manager)
    app.add_route("/instances", Instances(manager))
    app.add_route("/instances/create", Creation(manager, instance))
    app.add_route("/instances/{name}", instance)
    app.add_route("/instances/{name}/qr", QrCode(manager))
    app.add_route("/instances/{name}/pairing-code", PairingCodes(manager))
    app.add_route("/instances/{name}/message", Messages(manager))
    app.add_route("/instances/{name}/restart", Restart(manager))
    app.add_route("/instances/{name}/events", events, suffix="instance")
    app.add_route("/instances/{name}/state", PastStates(manager))
    app.add_route("/events", events)
    app.add_route("/nodes", Nodes(manager, config))
    app.add_route("/livez", Livez())
    app.add_route("/readyz", Readyz(manager))
    app.add_route("/metrics", Metrics(manager))
    app.add_route("/openapi.json", ApiDocument())
    app.add_route("/problems/{code}", ProblemPages())
    app.add_route("/docs", Page("docs.html"))
    app.add_route("/", Page("index.html"))
    app.add_static_route("/static", STATIC)
    return app
