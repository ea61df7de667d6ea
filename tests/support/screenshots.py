"""Takes the pictures of the handbook (docs/screenshots) in the system's Chromium: `make screenshots`, then look at them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from browser import PATIENCE_MS, Visitor, find_chromium, open_browser
from chatbot_erp.sandbox.client import Network, Phone
from manager_process import ManagerProcess
from receiver import Receiver

PLACE = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
WIDE = {"viewport": {"width": 1200, "height": 1000}}
SMALL = {"viewport": {"width": 360, "height": 740}}
SHOP, SECOND_SHOP, CUSTOMER = "5591988887777", "5591966665555", "5591977776666"


def main() -> None:
    """Fill a manager with a shop's morning and look at it on every screen."""
    path = find_chromium()
    if path is None:
        sys.exit("No Chromium is on the PATH.")
    PLACE.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Network.start() as network,
        Receiver() as receiver,
        ManagerProcess(Path(folder) / "data", network, "--node", "node-1") as manager,
        open_browser(path) as browser,
    ):
        fill(manager, network, receiver)
        take(browser, manager)


def fill(manager: ManagerProcess, network: Network, receiver: Receiver) -> None:
    """A connected number with a conversation, one that waits for its phone, one whose receiver is broken."""
    shop, customer = network.phone(SHOP, name="Empresa X"), network.phone(CUSTOMER, name="Maria")
    manager.pair("empresa_x", shop, receiver.url())
    manager.send("empresa_x", CUSTOMER, "Bom dia, Maria! Seu pedido saiu para entrega.")
    customer.send(SHOP, "Obrigada! 😊")
    receiver.wait_for(lambda payload: payload["event"] == "message.received")
    manager.pair("filial_norte", network.phone("5592955554444", name="Filial Norte"))
    refused(manager, network, customer)
    manager.create("filial_sul", receiver.url())
    manager.wait_until("filial_sul", lambda view: view["qr"] is not None)


def refused(manager: ManagerProcess, network: Network, customer: Phone) -> None:
    """A number with a receiver that takes nothing, and so with dead letters."""
    with Receiver() as broken:
        manager.pair("loja_centro", network.phone(SECOND_SHOP, name="Loja Centro"), broken.url())
        settings = {"webhook": {"events": ["message.received"], "rejectAfterS": 0}}
        manager.call("PATCH", "/instances/loja_centro", json=settings)
        broken.answer = lambda delivery: 422
        customer.send(SECOND_SHOP, "Vocês abrem no sábado?")
        customer.send(SECOND_SHOP, "Alguém aí?")
        broken.wait_for(lambda payload: payload.get("message", {}).get("text") == "Alguém aí?")


def take(browser: Browser, manager: ManagerProcess) -> None:
    """One picture a call."""
    for name, screen, scheme, language in (
        ("dashboard-light", WIDE, "light", "en-US"),
        ("dashboard-dark", WIDE, "dark", "pt-BR"),
        ("dashboard-small", SMALL, "light", "pt-BR"),
    ):
        page = Visitor(browser, manager.url, color_scheme=scheme, locale=language, **screen).visit(
            "/#/instances/empresa_x"
        )
        expect(page.locator(".events li").first).to_be_visible()
        expect(page.locator(".attempts li").first).to_be_visible()
        keep(page, name)
    page = Visitor(browser, manager.url, color_scheme="light", **WIDE).visit("/#/instances/filial_sul")
    expect(page.locator("img.qr")).to_be_visible()
    expect(page.locator("img.qr")).to_have_js_property("complete", True)
    keep(page, "qr")
    page = Visitor(browser, manager.url, color_scheme="light", **WIDE).visit("/#/instances/empresa_x")
    expect(page.locator(".events li").first).to_be_visible()
    slider = page.get_by_label("Moment")
    slider.focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        slider.press(key)
    expect(page.locator(".past h4")).to_contain_text("As it was then")
    expect(page.locator(".past.stale")).to_have_count(0)
    page.locator(".timeline").scroll_into_view_if_needed()
    keep(page, "time-travel")
    page = Visitor(browser, manager.url, color_scheme="light", **WIDE).visit("/#/instances/loja_centro")
    expect(page.locator(".letters li")).to_have_count(2, timeout=PATIENCE_MS)
    page.locator("#webhook").evaluate("element => element.scrollIntoView()")
    keep(page, "dead-letters")
    page = Visitor(browser, manager.url, color_scheme="light", **WIDE).visit("/docs")
    summary = page.locator("#operations details summary").filter(has_text="/message").first
    summary.click()
    expect(page.get_by_text("Headers of the answers")).to_be_visible()
    summary.evaluate("element => element.scrollIntoView()")
    keep(page, "api")


def keep(page: Page, name: str) -> None:
    page.screenshot(path=PLACE / f"{name}.png")


if __name__ == "__main__":
    main()
