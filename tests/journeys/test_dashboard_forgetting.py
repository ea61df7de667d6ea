"""The dashboard in a real browser, of which somebody who is forgotten has to vanish, also from a page that nobody looks at."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from browser import HIDE, SHOW, NewVisitor, go_to, signed_in
from chatbot_erp.sandbox.client import Phone
from manager_process import ManagerProcess

Forget = Callable[[Phone], None]

SAID = "um segredo"

READ_ACROSS_AN_ERASURE = """import("/static/timeline.js").then(async ({ Timeline }) => {
  const event = (position, text) => (
    { position, type: "message.received", stream: "s", recordedAt: "2026-01-31T12:00:00Z", data: { text } });
  const page = (from, text, count) => Response.json(
    { events: Array.from({ length: count }, (_, index) => event(from + index, text)), next: 9999 });
  let asked;
  const isAsked = new Promise((resolve) => { asked = resolve; });
  let answerEarlier;
  let last = page(1001, "secret", 1000);
  window.fetch = async (path) => {
    if (path.includes("/state")) return new Response("{}", { status: 503 });
    if (path.includes("before=1001&")) return new Promise((resolve) => { answerEarlier = resolve; asked(); });
    return last;
  };
  const timeline = new Timeline("a");
  document.body.append(timeline.element);
  await timeline.refresh();
  const form = timeline.element.querySelector("form");
  form.requestSubmit();
  await isAsked;
  last = page(1999, "forgotten", 2);
  await timeline.readAgain();
  answerEarlier(page(1, "secret", 1000));
  while (form.querySelector("button").disabled) await new Promise((resolve) => setTimeout(resolve, 5));
  timeline.close();
  return timeline.element.textContent;
})"""


@pytest.fixture
def maria(new_phone: Callable[[str], Phone]) -> Phone:
    return new_phone("Maria")


@pytest.fixture
def forget(house: ManagerProcess) -> Forget:
    def destroy(phone: Phone) -> None:
        assert house.call("DELETE", f"/subjects/{phone.number}").status_code == 200

    return destroy


def shows_that_somebody_was_forgotten(events: Locator) -> None:
    expect(events).to_contain_text("Somebody forgotten: “…”message.received")
    expect(events).not_to_contain_text("segredo")


def test_a_page_open_with_a_key_for_one_instance_forgets_who_is_forgotten(
    new_visitor: NewVisitor, house: ManagerProcess, linked: Phone, maria: Phone, forget: Forget, name: str
) -> None:
    page = signed_in(new_visitor(), house.make_key("read", name))
    expect(page.locator("#liveness[data-kind=live]")).to_be_visible()
    go_to(page, name)
    maria.send(linked.number, SAID)
    events = page.locator(".events")
    expect(events).to_contain_text(SAID)
    forget(maria)
    shows_that_somebody_was_forgotten(events)


def test_who_was_forgotten_while_nobody_looked_is_not_on_the_page_any_more(
    page: Page, house: ManagerProcess, linked: Phone, maria: Phone, forget: Forget, name: str
) -> None:
    maria.send(linked.number, SAID)
    go_to(page, name)
    events = page.locator(".events")
    expect(events).to_contain_text(SAID)
    expect(page.locator("#liveness[data-kind=live]")).to_be_visible()
    slider = page.get_by_label("Moment")
    slider.press("Home")
    chosen = slider.get_attribute("aria-valuetext")
    page.evaluate(HIDE)
    forget(maria)
    page.evaluate(SHOW)
    shows_that_somebody_was_forgotten(events)
    expect(slider).to_have_attribute("aria-valuetext", chosen or "")


def test_a_page_that_was_opened_behind_another_forgets_who_is_forgotten_before_it_is_looked_at(
    page: Page, house: ManagerProcess, linked: Phone, maria: Phone, forget: Forget, name: str
) -> None:
    maria.send(linked.number, SAID)
    house.wait_event(name, "message.received")  # a page that nobody looks at shows what there was when it was opened
    behind = page.context.new_page()
    behind.add_init_script(HIDE)
    behind.goto(f"{house.url}/#/instances/{name}")
    events = behind.locator(".events")
    expect(events).to_contain_text(SAID)
    forget(maria)
    behind.evaluate(SHOW)
    shows_that_somebody_was_forgotten(events)


def test_a_page_that_has_no_stream_forgets_too(
    new_visitor: NewVisitor, house: ManagerProcess, linked: Phone, maria: Phone, forget: Forget, name: str
) -> None:
    visitor = new_visitor()
    visitor.page.route("**/events/stream", lambda route: route.fulfill(status=503, body="{}"))
    page = signed_in(visitor)
    expect(page.locator("#liveness[data-kind=polling]")).to_be_visible()
    maria.send(linked.number, SAID)
    go_to(page, name)
    events = page.locator(".events")
    expect(events).to_contain_text(SAID)
    page.evaluate(HIDE)
    forget(maria)
    page.evaluate(SHOW)
    shows_that_somebody_was_forgotten(events)


def test_what_may_be_forgotten_goes_from_the_page_also_where_the_log_cannot_be_read_again(
    page: Page, house: ManagerProcess, linked: Phone, maria: Phone, forget: Forget, name: str
) -> None:
    expect(page.locator("#liveness[data-kind=live]")).to_be_visible()
    go_to(page, name)
    maria.send(linked.number, SAID)
    events = page.locator(".events")
    row = events.get_by_role("button").filter(has_text=SAID)
    row.click()
    chosen = row.get_attribute("data-position")
    expect(page.locator(f".past[data-position='{chosen}']:not(.stale)")).to_be_visible()
    page.locator(".past summary").click()
    expect(page.locator(".past details")).to_contain_text(SAID)
    row.focus()
    page.route("**/events?before=*", lambda route: route.abort())
    forget(maria)
    expect(page.locator(".timeline")).not_to_contain_text("segredo")
    page.unroute("**/events?before=*")
    page.evaluate(HIDE)
    page.evaluate(SHOW)
    expect(events).to_contain_text("Somebody forgotten: “…”message.received")
    expect(page.locator(".past details")).to_have_attribute("open", "")
    expect(page.locator(f".events [data-position='{chosen}'][aria-current=step]")).to_be_focused()


def test_a_page_of_the_log_that_was_asked_for_before_somebody_was_forgotten_is_not_shown_after_it(
    new_visitor: NewVisitor,
) -> None:
    shown = new_visitor().visit().evaluate(READ_ACROSS_AN_ERASURE)
    assert "forgotten" in shown
    assert "secret" not in shown
