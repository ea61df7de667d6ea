"""The dashboard in a real browser: who may see what, in which language, on which screen, and with what hands."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, get_args

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from httptools import HttpParserError
from playwright.sync_api import Locator, Page, expect

from browser import DASHBOARD_KEY, HIDE, SHOW, NewVisitor, Visitor, go_to, said, signed_in
from chatbot_erp.actors.endpoint import Why
from chatbot_erp.actors.errors import OF_FAILURE, BadWebhookUrl
from chatbot_erp.actors.fates import Fate
from chatbot_erp.actors.media_frames import Reason
from chatbot_erp.actors.supervision import DEMANDED, REMEDIES
from chatbot_erp.actors.webhook_dial import Denied
from chatbot_erp.actors.webhook_post import class_of
from chatbot_erp.eventstore.events import EVENT_NAMES, Ack
from chatbot_erp.http.problems import CATALOGUE
from chatbot_erp.sandbox.client import Phone
from manager_process import ManagerProcess

LIGHT_AND_SMALL = {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "locale": "en-US"}
DARK_AND_SMALL = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "locale": "pt-BR"}
LIGHT = {"color_scheme": "light", "locale": "pt-BR"}
DARK = {"color_scheme": "dark", "locale": "en-US"}

TOLD_ABOVE_THE_CODE = """import("/static/dom.js").then(({ say, byId }) => {
  scrollTo(0, 0);
  say("Said.");
  return byId("said").getBoundingClientRect().bottom <= document.querySelector("img.qr").getBoundingClientRect().top;
})"""


def test_every_event_and_every_fate_has_words(new_visitor: NewVisitor) -> None:
    page = new_visitor().visit()
    keys = page.evaluate("import('/static/words.js').then(({LANGUAGES}) => Object.keys(LANGUAGES.en[1]))")
    acknowledged = {f"event.message.acknowledged.{ack.value}" for ack in Ack}
    wanted = {f"event.{name}" for name in EVENT_NAMES.values()} - {"event.message.acknowledged"} | acknowledged
    assert {key for key in keys if key.startswith("event.")} == wanted
    assert {key for key in keys if key.startswith("fate.")} == {f"fate.{fate}" for fate in Fate}


def test_every_reason_has_words(new_visitor: NewVisitor) -> None:
    page = new_visitor().visit()
    keys = page.evaluate("import('/static/words.js').then(({LANGUAGES}) => Object.keys(LANGUAGES.en[1]))")
    failures = (
        BadWebhookUrl(), Denied(), socket.gaierror(), TimeoutError(), ssl.SSLError(), ConnectionRefusedError(),
        HttpParserError(), ConnectionError(), OSError(), Exception(),
    )  # fmt: skip
    for kind, codes in (
        ("reason", {*REMEDIES, *DEMANDED, "paired", "partial_ack", "manager_restarted", "deleted", "removed"}),
        ("failure", set(OF_FAILURE)),
        ("missed", {*get_args(Reason), "crowded"}),
        ("stopped", set(get_args(Why))),
        ("delivery", {class_of(each) for each in failures}),
    ):
        assert {f"{kind}.{code}" for code in codes} <= set(keys)


def test_every_problem_has_words_in_portuguese(new_visitor: NewVisitor) -> None:
    page = new_visitor().visit()
    keys = page.evaluate("import('/static/problems.js').then(({PROBLEMS}) => Object.keys(PROBLEMS))")
    assert set(keys) == set(CATALOGUE)


def test_what_goes_wrong_and_why_it_is_so_is_said_in_the_language_of_the_reader(
    new_visitor: NewVisitor, house: ManagerProcess, linked: Phone, name: str
) -> None:
    page = signed_in(new_visitor(locale="pt-BR"))
    go_to(page, name)
    page.get_by_label("Para (número)").fill("12")
    page.locator("#test").get_by_label("Mensagem").fill("x")
    page.get_by_role("button", name="Enviar", exact=True).click()
    expect(page.locator("#test .wrong")).to_contain_text("Informe DDI, DDD e número")
    page.get_by_label("Falha").select_option("replaced")
    page.get_by_role("button", name="Simular a falha").click()
    expect(page.locator(".heading .reason")).to_have_text("a sessão está em uso em outro lugar stream_replaced")
    expect(page.locator(".events")).to_contain_text("Nenhum reinício resolve (a sessão está em uso em outro lugar)")
    page.route("**/restart", lambda route: route.abort())
    page.get_by_role("button", name="Reiniciar", exact=True).click()
    expect(page.locator("#restart .wrong")).to_have_text("o gerenciador não responde")


def test_what_goes_wrong_is_said_where_it_was_asked_for(page: Page, linked: Phone, name: str) -> None:
    go_to(page, name)
    page.get_by_label("To (number)").fill("12")
    page.locator("#test").get_by_label("Message").fill("x")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#test .wrong")).to_contain_text("7 to 15 digits")


def test_of_a_refusal_each_part_that_is_wrong_is_said_and_none_twice(new_visitor: NewVisitor) -> None:
    problem = {"type": "/problems/not-accepted", "detail": "$& is dear", "action": "", "errors": [
        {"field": "name", "detail": "too long"}, {"field": "number", "detail": "$& is dear"}]}  # fmt: skip
    ask = "(problem) => import('/static/words.js').then(({ refusal }) => refusal(problem))"
    assert new_visitor().visit().evaluate(ask, problem) == "$& is dear · name: too long"
    in_portuguese = new_visitor(locale="pt-BR").visit().evaluate(ask, problem)
    assert in_portuguese == "O WhatsApp não aceitou. $& is dear · name: too long"


def test_an_answer_that_breaks_off_is_no_success_and_a_refusal_stays_one(new_visitor: NewVisitor) -> None:
    page = new_visitor().visit()
    statuses = iter((200, 502))
    page.route("**/half", lambda route: route.fulfill(status=next(statuses), body='{"messageId": "3EB'))
    call = "import('/static/api.js').then(({ get }) => get('/half')).catch(({ status, message }) => [status, message])"
    assert page.evaluate(call) == [0, "the manager does not answer"]
    assert page.evaluate(call) == [502, "HTTP 502"]


def test_on_a_phone_the_secret_of_a_new_webhook_stands_with_its_instance_until_somebody_has_it(
    new_visitor: NewVisitor, house: ManagerProcess, linked: Phone, name: str
) -> None:
    visitor = new_visitor(**LIGHT_AND_SMALL)
    page = signed_in(visitor)
    expect(page.locator(".tiles")).to_be_visible()
    made = f"{name}-new"
    create(page, made)
    secret = page.locator(".secret")
    expect(secret).to_contain_text("whsec_")
    expect(secret).to_contain_text(f"Webhook secret of {made}")
    expect(secret.locator("code")).to_be_in_viewport()
    expect(page.locator("img.qr")).to_be_visible()
    check_access(visitor)
    assert page.evaluate(TOLD_ABOVE_THE_CODE)

    page.evaluate(f"location.hash = '#/instances/{name}'")
    expect(page.locator(".heading h2")).to_have_text(name)
    expect(page.locator("#test")).to_be_visible()
    expect(secret).to_have_count(0)
    page.go_back()
    expect(secret).to_contain_text("whsec_")
    page.get_by_role("button", name="I have it").click()
    expect(secret).to_have_count(0)
    expect(page.locator("body")).not_to_contain_text("whsec_")


def test_the_secret_of_an_instance_goes_with_it(
    new_visitor: NewVisitor, house: ManagerProcess, linked: Phone, name: str
) -> None:
    page = signed_in(new_visitor())
    made = f"{name}-new"
    create(page, made)
    expect(page.locator(".secret")).to_contain_text("whsec_")
    house.call("DELETE", f"/instances/{made}")
    expect(page.locator(".heading .badge")).to_have_text("removed")
    expect(page.locator("body")).not_to_contain_text("whsec_")


def create(page: Page, name: str) -> None:
    """By hand, in a list that is not empty."""
    page.locator(".creation summary").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Webhook URL").fill("http://127.0.0.1:9/nobody")
    page.get_by_role("button", name="Create", exact=True).click()


def test_a_wrong_key_is_told_and_signing_out_ends_it(new_visitor: NewVisitor) -> None:
    page = new_visitor().visit()
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#sign-in .wrong")).to_contain_text("missing or wrong")
    page.get_by_label("API key").fill(DASHBOARD_KEY)
    page.get_by_label("API key").press("Enter")
    expect(page.locator(".list")).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    assert DASHBOARD_KEY not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    page.reload()
    expect(page.locator(".list")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_key_that_may_only_look_sees_no_control_and_only_its_instances(
    new_visitor: NewVisitor, house: ManagerProcess, linked: Phone, name: str
) -> None:
    other = f"{name}-other"
    house.create(other)
    page = signed_in(new_visitor(), house.make_key("read", name))
    go_to(page, name)
    expect(page.locator(".heading .badge")).to_have_text("connected")
    expect(page.locator(".events li").first).to_be_visible()
    assert page.locator(".list li").count() == 1
    for button in ("Restart", "Delete…", "Send", "Play the fault", "Create"):
        expect(page.get_by_role("button", name=button, exact=True)).to_have_count(0)


def test_a_key_that_may_only_send_is_told_that_it_may_not_look_and_sends(
    new_visitor: NewVisitor, house: ManagerProcess, linked: Phone, new_phone: Callable[[str], Phone], name: str
) -> None:
    page = signed_in(new_visitor(), house.make_key("send", name))
    expect(page.locator("#liveness")).to_have_text("this key may not look")
    page.locator(".list").get_by_role("link", name=name, exact=True).click()
    contact = new_phone("Maria")
    page.get_by_label("To (number)").fill(contact.number)
    page.locator("#test").get_by_label("Message").fill("Só enviar")
    page.get_by_role("button", name="Send", exact=True).click()
    said(page, "the server has it")
    contact.receive(text="Só enviar")
    expect(page.locator("#liveness")).to_have_text("this key may not look")


def test_a_key_that_may_only_send_for_all_names_the_instance(
    new_visitor: NewVisitor, house: ManagerProcess, linked: Phone, name: str
) -> None:
    page = signed_in(new_visitor(), house.make_key("send"))
    expect(page.locator(".list")).to_contain_text("may send, and see nothing")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#test textarea")).to_be_visible()


def test_the_language_follows_the_browser_and_can_be_changed(new_visitor: NewVisitor) -> None:
    page = signed_in(new_visitor(locale="pt-BR"))
    expect(page.get_by_role("heading", name="Instâncias")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "pt-BR"
    page.get_by_label("Idioma").select_option("en")
    expect(page.get_by_role("heading", name="Instances")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Instances")).to_be_visible()


def test_both_languages_say_the_same_things(new_visitor: NewVisitor) -> None:
    page = new_visitor().visit()
    keys = page.evaluate(
        "import('/static/words.js').then(({LANGUAGES}) => Object.values(LANGUAGES).map(([, words]) => "
        "Object.entries(words).map(([key, text]) => [key, ...(text.match(/{\\w+}/g) ?? []).sort()].join()).sort()))"
    )
    assert keys[0] == keys[1]
    assert len(keys[0]) > 50


@pytest.mark.parametrize(
    "screen", [LIGHT, DARK, LIGHT_AND_SMALL, DARK_AND_SMALL], ids=["light", "dark", "small", "dark-small"]
)
def test_everybody_can_use_it_on_every_screen(
    new_visitor: NewVisitor, house: ManagerProcess, linked: Phone, name: str, screen: dict[str, Any]
) -> None:
    waiting = f"{name}-waiting"
    house.create(waiting)
    house.wait_until(waiting, lambda view: view["qr"] is not None)
    visitor = new_visitor(**screen)
    page = visitor.visit()
    expect(page.locator("#sign-in")).to_be_visible()
    check_access(visitor)
    signed_in(visitor)
    page.locator(".creation summary").click()
    check_access(visitor)
    for each, place in ((name, ".events li"), (waiting, "img.qr")):
        visitor.visit(f"/#/instances/{each}")
        expect(page.locator(".heading h2")).to_have_text(each)
        expect(page.locator(place).first).to_be_visible()
        expect(page.locator(".attempts [data-good=false]").first).to_be_visible()
        check_access(visitor)
    page.locator(".buttons .danger").first.click()
    check_access(visitor)
    visitor.visit("/docs")
    expect(page.locator("#operations details").first).to_be_visible()
    check_access(visitor)
    creation = open_operation(page, "/instances/create")
    expect(creation).not_to_contain_text("`")
    check_access(visitor)


def test_the_page_of_the_api_says_what_a_body_consists_of_and_what_an_answer_has(new_visitor: NewVisitor) -> None:
    messages = open_operation(new_visitor().visit("/docs"), "/instances/{name}/messages")
    messages.locator("summary").filter(has_text="SendText").click()
    rows = messages.get_by_role("row")
    expect(rows.filter(has_text="disappearsAfter")).to_have_count(1)
    expect(rows.filter(has_text="disappearsAfter")).to_contain_text("integer, 0 to 7776000, default 0")
    expect(rows.filter(has_text="quoted.messageId")).to_contain_text("required")
    expect(rows.filter(has_text="Retry-After")).to_contain_text("Seconds after which")


def open_operation(page: Page, path: str) -> Locator:
    """A call in the page of the API, drawn."""
    operation = page.locator("#operations > details").filter(has=page.get_by_text(path, exact=True))
    operation.locator("> summary").click()
    expect(operation.get_by_text("Headers of the answers")).to_be_visible()
    return operation


def check_access(visitor: Visitor) -> None:
    """No rule of WCAG that axe knows is broken, and nothing sticks out sideways."""
    found = Axe().run(visitor.page)
    broken = [(rule["id"], rule["nodes"][0]["target"]) for rule in found.response["violations"]]
    assert broken == []
    assert not visitor.overflows()


def test_one_gets_everywhere_with_the_keyboard_alone(page: Page, linked: Phone, name: str) -> None:
    page.reload()
    expect(page.locator(".list a").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    reached = page.evaluate("document.activeElement.id")
    assert reached == "main"
    go_by_tab(page, f"a[href$='/{name}']")
    page.keyboard.press("Enter")
    expect(page.locator(".heading h2")).to_have_text(name)
    expect(page.locator("#sandbox select")).to_be_visible()
    for control in ("#restart button", ".buttons > .danger", "#test textarea", "#sandbox select", ".timeline input"):
        go_by_tab(page, control)
    go_by_tab(page, ".events button")


def go_by_tab(page: Page, selector: str) -> None:
    """Press Tab until it is there."""
    for _ in range(80):
        if page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never gets to {selector}.")


def test_tabs_that_nobody_looks_at_leave_the_connections_to_the_one_that_is_looked_at(
    new_visitor: NewVisitor, linked: Phone, name: str
) -> None:
    visitor = new_visitor()
    looked_at = signed_in(visitor)
    looked_at.evaluate(HIDE)
    for _ in range(6):
        tab = visitor.context.new_page()
        with tab.expect_request("**/events/stream"):
            tab.goto(visitor.url)
        tab.evaluate(HIDE)
    with looked_at.expect_request("**/events/stream"):
        looked_at.evaluate(SHOW)
    expect(looked_at.locator("#liveness[data-kind=live]")).to_be_visible()
    go_to(looked_at, name)
