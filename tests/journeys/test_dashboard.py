"""The dashboard in a real browser, against the whole program: every control is used."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from browser import NewVisitor, go_to, said, signed_in
from chatbot_erp.sandbox.client import Phone
from manager_process import ManagerProcess
from receiver import Receiver


def test_a_number_is_created_scanned_used_restarted_and_deleted_with_clicks_alone(
    page: Page, house: ManagerProcess, new_phone: Callable[[str], Phone], name: str
) -> None:
    expect(page.locator(".rows li").first).to_be_visible()
    if not page.get_by_label("Name").is_visible():  # it stands open where there is no instance yet
        page.get_by_text("New instance").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Webhook URL").fill("http://127.0.0.1:9/nobody")
    page.get_by_role("button", name="Create", exact=True).click()
    said(page, f"{name} is being created.")
    expect(page.locator(".secret code")).to_contain_text("whsec_")
    page.context.grant_permissions(["clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    said(page, "Copied.")
    page.get_by_role("button", name="I have it").click()
    expect(page.locator(".secret")).to_have_count(0)
    expect(page.locator(".heading h2")).to_be_focused()

    expect(page.get_by_alt_text("QR code to scan")).to_be_visible()
    expect(page.locator("img.qr")).to_have_js_property("complete", True)
    assert page.locator("img.qr").evaluate("image => image.naturalWidth") > 100
    expect(page.locator(".scan")).to_contain_text(re.compile(r"new code in \d+ s"))

    page.get_by_role("button", name="Scan the code").click()
    expect(page.locator(".heading .badge")).to_have_text("connected")
    expect(page.locator(".list .badge").filter(has_text="connected").first).to_be_visible()
    expect(page.locator("#link")).to_be_hidden()

    contact = new_phone("Maria")
    page.get_by_label("To (number)").fill(contact.number)
    page.locator("#test").get_by_label("Message").fill("Do painel")
    page.get_by_role("button", name="Send", exact=True).click()
    said(page, "the server has it")
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_focused()
    assert contact.receive(text="Do painel").text == "Do painel"

    page.get_by_label("Contact (number)").fill(contact.number)
    page.locator("#sandbox").get_by_label("Message").fill("<img src=x onerror=alert(1)> & ação")
    page.get_by_role("button", name="Send as this contact").click()
    said(page, "The contact has sent it.")
    expect(page.locator(".events")).to_contain_text("<img src=x onerror=alert(1)> & ação")
    assert page.locator(".events img").count() == 0

    page.get_by_role("button", name="Restart", exact=True).click()
    said(page, f"{name} gets a new socket.")
    expect(page.locator(".facts").first).to_contain_text(re.compile(r"Restarts\s*1"))

    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Cancel").click()
    assert house.view(name)["name"] == name
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    said(page, f"{name} is deleted.")
    expect(page.locator(".list").get_by_text(name, exact=True)).to_have_count(0)
    assert house.call("GET", f"/instances/{name}").status_code == 404


def test_a_session_can_be_kept_when_an_instance_is_deleted(
    page: Page, house: ManagerProcess, linked: Phone, name: str
) -> None:
    go_to(page, name)
    page.get_by_role("button", name="Delete…").click()
    page.get_by_label("Keep link and session").check()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    said(page, f"{name} is deleted.")
    house.create(name)
    assert house.wait_connected(name)["user"]["jid"].startswith(linked.number)


def test_a_pairing_code_is_shown_and_works(
    page: Page, house: ManagerProcess, new_phone: Callable[[str], Phone], name: str
) -> None:
    phone = new_phone("Empresa X")
    house.create(name)
    house.wait_until(name, lambda view: view["status"] == "SCAN_QR_CODE")
    go_to(page, name)
    page.get_by_label("The phone's number").fill(phone.number)
    page.get_by_role("button", name="Get a code").click()
    code = page.locator(".code strong")
    expect(code).to_have_text(re.compile("^[0-9A-Z-]{8,9}$"))
    phone.enter_code(code.inner_text())
    expect(page.locator(".heading .badge")).to_have_text("connected")


def test_one_travels_through_time_by_mouse_and_by_keyboard(
    page: Page, house: ManagerProcess, linked: Phone, name: str
) -> None:
    go_to(page, name)
    slider = page.get_by_label("Moment")
    expect(page.locator(".past h4")).to_contain_text("As it is now")
    expect(page.locator(".past .badge")).to_have_text("connected")

    slider.focus()
    slider.press("Home")
    first = house.events(name)[0]
    expect(page.locator(".past")).to_have_attribute("data-position", str(first["position"]))
    expect(page.locator(".past h4")).to_contain_text("As it was then")
    expect(page.locator(".past .badge")).to_have_text("initialising")
    slider.press("ArrowRight")
    expect(page.locator(".past .badge")).to_have_text("waiting for a scan")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("A code waits for the phone"))

    box = slider.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    expect(page.locator(".past")).not_to_have_attribute("data-position", str(first["position"]))
    page.get_by_role("button", name=re.compile("Created as")).click()
    expect(page.locator(".past")).to_have_attribute("data-position", str(first["position"]))
    page.locator(".past summary").click()
    expect(page.locator(".past pre")).to_contain_text(f'"name": "{name}"')

    page.get_by_role("button", name="Back to now").click()
    expect(page.locator(".past .badge")).to_have_text("connected")
    expect(page.get_by_role("button", name="Back to now")).to_be_hidden()


def test_of_somebody_who_was_forgotten_the_log_says_that_they_were(
    page: Page, house: ManagerProcess, linked: Phone, new_phone: Callable[[str], Phone], name: str
) -> None:
    maria = new_phone("Maria")
    assert house.send(name, maria.number, "um segredo").status_code == 200
    maria.send(linked.number, "outro segredo")
    go_to(page, name)
    events = page.locator(".events")
    expect(events).to_contain_text("outro segredo")
    assert house.call("DELETE", f"/subjects/{maria.number}").status_code == 200
    expect(events).to_contain_text("To somebody forgotten: “…”, accepted")
    expect(events).to_contain_text("Somebody forgotten: “…”message.received")
    expect(page.locator(".fates li").filter(has_text="received")).to_contain_text("somebody forgotten")
    expect(events).not_to_contain_text("“”")
    expect(events).not_to_contain_text("segredo")


def test_of_a_long_log_the_end_is_read_and_what_is_earlier_where_it_is_asked_for(
    page: Page, house: ManagerProcess, linked: Phone, name: str
) -> None:
    real = house.events(name)[0]
    first, middle = real["position"], real["position"] + 2000
    pages = {"before=9007199254740991": range(middle, middle + 1000), f"before={middle}": range(first, first + 5)}
    asked: list[str] = []

    def answer(route: Route) -> None:
        which = route.request.url.partition("?")[2].partition("&")[0]
        asked.append(which)
        events = [{**real, "position": position} for position in pages.get(which, ())]
        route.fulfill(json={"events": events, "next": middle + 999})

    page.route(re.compile(f"/instances/{name}/events"), answer)
    go_to(page, name)
    slider = page.get_by_label("Moment")
    expect(slider).to_have_js_property("max", "999")
    assert set(asked) <= {"before=9007199254740991", f"after={middle + 999}"}
    page.get_by_role("button", name="Earlier events").click()
    expect(slider).to_have_js_property("max", "1004")
    expect(page.locator(".past")).to_have_attribute("data-position", str(first + 4))
    expect(page.get_by_role("button", name="Earlier events")).to_be_hidden()


def test_a_moment_that_cannot_be_looked_back_at_says_why(
    page: Page, house: ManagerProcess, linked: Phone, name: str
) -> None:
    problem = {"type": "/problems/history-too-long", "detail": "It has changed too often.", "action": "Use replay."}
    page.route(re.compile(f"/instances/{name}/state"), lambda route: route.fulfill(status=422, json=problem))
    go_to(page, name)
    expect(page.locator(".past .wrong")).to_have_text("It has changed too often. Use replay.")
    expect(page.locator(".past summary")).to_be_visible()


def test_a_number_that_is_not_there_offers_nothing_to_do(page: Page, linked: Phone, name: str) -> None:
    page.evaluate(f"location.hash = '#/instances/{name}-never'")
    expect(page.locator(".heading .badge")).to_have_text("removed")
    for button in ("Restart", "Delete…", "Send", "Play the fault", "Scan the code"):
        expect(page.get_by_role("button", name=button, exact=True)).to_have_count(0)


def test_the_first_page_counts_the_instances_by_status(page: Page, linked: Phone, name: str) -> None:
    expect(page.locator(".tiles div").filter(has_text="connected")).to_contain_text(re.compile(r"[1-9]"))


def test_of_many_instances_those_are_found_that_have_a_name_or_a_status(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    statuses = ("CONNECTED", "DISCONNECTED")
    many = [{"id": str(n), "name": f"shop_{n:03}", "status": statuses[n % 10 == 0]} for n in range(200)]
    visitor.page.route("**/instances", lambda route: route.fulfill(json=many))
    page = signed_in(visitor)
    rows = page.locator(".rows a")
    expect(rows).to_have_count(200)
    page.get_by_label("Find").fill("disconn")
    expect(rows).to_have_count(20)
    page.get_by_label("Find").fill("SHOP_123")
    expect(rows).to_have_count(1)
    page.get_by_label("Find").fill("nobody")
    expect(page.locator(".rows")).to_have_text("None fits.")
    page.get_by_label("Find").fill("")
    rows.nth(180).click()
    expect(page.locator(".heading h2")).to_be_in_viewport()
    expect(page.locator(".list summary")).to_be_in_viewport()
    expect(rows.nth(180)).to_be_in_viewport()
    assert page.title() == "shop_180 · chatbot-erp"


def test_the_focus_stays_on_an_event_when_others_come(
    page: Page, house: ManagerProcess, linked: Phone, new_phone: Callable[[str], Phone], name: str
) -> None:
    go_to(page, name)
    created = page.get_by_role("button", name=re.compile("Created as"))
    created.focus()
    new_phone("Maria").send(linked.number, "Oi, tudo bem?")
    expect(page.locator(".events")).to_contain_text("Oi, tudo bem?")
    expect(created).to_be_focused()


def test_what_happened_while_nothing_was_heard_is_seen_when_the_stream_is_back(
    new_visitor: NewVisitor, house: ManagerProcess, name: str
) -> None:
    visitor = new_visitor()
    # A stream that breaks off again and again, and never tells of an event.
    broken = {"content_type": "text/event-stream", "body": "retry: 100\n\n"}
    visitor.page.route("**/events/stream", lambda route: route.fulfill(**broken))
    page = signed_in(visitor)
    house.create(name)
    expect(page.locator(".list").get_by_text(name, exact=True)).to_be_visible()


def test_a_stream_that_is_refused_is_asked_for_again(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.clock.install()
    visitor.page.route("**/events/stream", lambda route: route.fulfill(status=503, json={}))
    page = signed_in(visitor)
    expect(page.locator("#liveness[data-kind=polling]")).to_be_visible()
    page.unroute("**/events/stream")
    page.clock.fast_forward(30_000)
    expect(page.locator("#liveness[data-kind=live]")).to_be_visible()


def test_a_line_that_died_without_a_word_is_noticed(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.clock.install()
    page = signed_in(visitor)
    expect(page.locator("#liveness[data-kind=live]")).to_be_visible()
    for path in ("**/instances", "**/events/stream"):
        page.route(path, lambda route: route.abort())
    page.clock.fast_forward(30_000)
    expect(page.locator("#liveness[data-kind=offline]")).to_be_visible()
    page.unroute_all()
    expect(page.locator("#liveness[data-kind=live]")).to_be_visible()


def test_what_is_asked_for_all_the_time_is_done_at_its_pace_and_not_put_off_for_ever(new_visitor: NewVisitor) -> None:
    gaps = new_visitor().visit().evaluate(PACED)
    assert all(gap >= 95 for gap in gaps)


PACED = """async () => {
  const { Pace } = await import("/static/pace.js");
  const begun = [];
  await new Promise((enough) => {
    const pace = new Pace(100, async () => {
      begun.push(performance.now());
      if (begun.length === 5) enough();
    });
    setInterval(() => pace.soon(), 10);
  });
  return begun.slice(1).map((at, n) => at - begun[n]);
}"""


def test_a_fault_is_played_seen_and_healed(page: Page, linked: Phone, name: str) -> None:
    go_to(page, name)
    expect(page.locator(".heading .badge")).to_have_text("connected")
    page.get_by_label("Fault").select_option("refuse")
    page.get_by_role("button", name="Play the fault").click()
    said(page, "Played: Nobody gets in.")
    expect(page.locator(".heading .badge")).to_have_text("disconnected")
    page.get_by_role("button", name="Heal all").click()
    said(page, "All faults are healed.")
    expect(page.locator(".heading .badge")).to_have_text("connected")


def test_a_number_that_was_removed_and_is_made_again_is_seen_where_it_was(
    page: Page, house: ManagerProcess, linked: Phone, name: str
) -> None:
    go_to(page, name)
    page.get_by_label("Fault").select_option("logged_out")
    page.get_by_role("button", name="Play the fault").click()
    expect(page.locator(".heading .badge")).to_have_text("removed")
    house.call("POST", "/instances/create", json={"name": name, "webhookUrl": "http://127.0.0.1:9/nobody"})
    expect(page.locator(".heading .badge")).to_have_text("waiting for a scan")


def test_an_address_that_is_none_leads_to_the_list(page: Page, linked: Phone, name: str) -> None:
    page.evaluate("location.hash = '#/instances/%'")
    page.reload()
    expect(page.locator("#detail")).to_contain_text("Choose")
    go_to(page, name)


def test_each_endpoint_of_an_instance_is_looked_at_and_controlled(
    page: Page, house: ManagerProcess, receiver: Receiver, name: str
) -> None:
    house.create(name, receiver.url("/first"))
    crm = f"/instances/{name}/webhook?endpoint=crm"
    house.call("PATCH", crm, json={"url": receiver.url("/crm"), "events": ["message.received"]})
    go_to(page, name)
    card = page.locator("#webhook")
    expect(card.locator(".facts")).to_contain_text(receiver.url("/first"))
    card.get_by_label("Endpoint").select_option("crm")
    expect(card.locator(".facts")).to_contain_text(receiver.url("/crm"))
    card.get_by_role("button", name="Send a test event").click()
    said(page, "The receiver took the test event.")
    receiver.wait_for(lambda payload: payload["event"] == "webhook.test")
    card.get_by_role("button", name="Disable", exact=True).click()
    expect(card.locator(".facts")).to_contain_text("disabled (on request)")
    card.get_by_label("Endpoint").select_option("main")
    expect(card.locator(".facts")).not_to_contain_text("disabled")
    expect(card.get_by_role("button", name="Disable", exact=True)).to_be_visible()

    card.get_by_label("Endpoint").select_option("crm")
    expect(card.get_by_role("button", name="Enable", exact=True)).to_be_visible()
    house.call("DELETE", crm)
    expect(card.get_by_label("Endpoint")).to_be_hidden()
    expect(card.locator(".facts")).to_contain_text(receiver.url("/first"))


def test_a_webhook_that_was_given_a_wrong_url_gets_another(
    page: Page, house: ManagerProcess, receiver: Receiver, name: str
) -> None:
    house.create(name)
    go_to(page, name)
    card = page.locator("#webhook")
    card.get_by_text("Change the URL…").click()
    expect(card.get_by_label("Webhook URL")).to_have_value(house.call("GET", f"/instances/{name}").json()["webhookUrl"])
    card.get_by_label("Webhook URL").fill("http://169.254.169.254/")
    card.get_by_role("button", name="Save").click()
    expect(card.get_by_role("alert").filter(visible=True)).to_contain_text("denied")
    card.get_by_label("Webhook URL").fill(receiver.url("/right"))
    card.get_by_role("button", name="Save").click()
    said(page, f"The webhook goes to {receiver.url('/right')} now.")
    expect(card.locator(".facts")).to_contain_text(receiver.url("/right"))
    expect(card.get_by_text("Change the URL…")).to_be_focused()
    receiver.wait_for(lambda payload: payload["event"] == "instance.status")


def test_a_url_that_is_typed_for_one_endpoint_is_given_to_no_other(
    page: Page, house: ManagerProcess, receiver: Receiver, name: str
) -> None:
    house.create(name, receiver.url("/first"))
    crm = f"/instances/{name}/webhook?endpoint=crm"
    house.call("PATCH", crm, json={"url": receiver.url("/crm")})
    go_to(page, name)
    card = page.locator("#webhook")
    url, change = card.get_by_label("Webhook URL"), card.get_by_text("Change the URL…")
    change.click()
    url.fill(receiver.url("/for-first"))
    card.get_by_label("Endpoint").select_option("crm")
    expect(url).to_be_hidden()
    expect(card.locator(".facts")).to_contain_text(receiver.url("/crm"))
    change.click()
    expect(url).to_have_value(receiver.url("/crm"))
    house.call("DELETE", crm)
    expect(url).to_be_hidden()
    expect(card.locator(".facts")).to_contain_text(receiver.url("/first"))


def test_since_when_an_endpoint_fails_and_when_it_is_tried_again_is_shown(
    page: Page, house: ManagerProcess, linked: Phone, name: str
) -> None:
    stands = house.call("GET", f"/instances/{name}/webhook").json()
    stands |= {"failingSince": "2026-01-02T03:04:05Z", "nextAttemptAt": "2026-01-02T03:06:07Z"}
    page.route(re.compile(f"/instances/{name}/webhook"), lambda route: route.fulfill(json=stands))
    go_to(page, name)
    facts = page.locator("#webhook .facts")
    expect(facts).to_contain_text("Statefails")
    expect(facts).to_contain_text(re.compile(r"Failing since.*:04:05"))
    expect(facts).to_contain_text(re.compile(r"Next try.*:06:07"))


def test_a_receiver_is_tried_switched_off_and_on_and_told_again(
    page: Page, house: ManagerProcess, receiver: Receiver, new_phone: Callable[[str], Phone], name: str
) -> None:
    shop, customer = new_phone("Empresa X"), new_phone("Maria")
    house.pair(name, shop, receiver.url())
    settings = {"webhook": {"events": ["message.received"], "rejectAfterS": 0}}
    house.call("PATCH", f"/instances/{name}", json=settings)
    go_to(page, name)
    card = page.locator("#webhook")
    card.get_by_role("button", name="Send a test event").click()
    said(page, "The receiver took the test event.")
    receiver.wait_for(lambda payload: payload["event"] == "webhook.test")

    receiver.answer = lambda delivery: 422
    customer.send(shop.number, "Recusada")
    expect(card.locator(".letters")).to_contain_text("message.received")
    expect(card.locator(".attempts")).to_contain_text("422")
    receiver.answer = lambda delivery: 200
    card.get_by_role("button", name="Deliver again").click()
    said(page, "Dead letters delivered again: 1.")
    receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Recusada", count=2)
    expect(card.locator(".letters")).to_be_hidden()

    card.get_by_role("button", name="Disable", exact=True).click()
    expect(card.locator(".facts")).to_contain_text("disabled")
    customer.send(shop.number, "Espera")
    expect(card.locator(".facts")).to_contain_text(re.compile(r"Waiting\s*1"))
    card.get_by_role("button", name="Enable", exact=True).click()
    receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Espera")

    card.get_by_text("Replay…").click()
    card.get_by_label("From position").fill("1")
    card.get_by_role("button", name="Replay", exact=True).click()
    said(page, "Events delivered again: 2.")
    receiver.wait_for(lambda payload: payload.get("message", {}).get("text") == "Espera", count=2)
