"""A headless Chromium for journeys through the dashboard: the system's own, nothing is downloaded."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NOT_RUN = "The dashboard was NOT tested: no Chromium is on the PATH (Debian: apt install chromium)."
PATIENCE_MS = 60_000
DASHBOARD_KEY = "a-key-for-the-dashboard"

HIDE = """Object.defineProperty(document, "hidden", { value: true, configurable: true });
document.dispatchEvent(new Event("visibilitychange"));"""
SHOW = HIDE.replace("true", "false", 1)
"""What a page is told when its tab is not looked at any more, and when it is again."""

expect.set_options(timeout=PATIENCE_MS)


def find_chromium() -> str | None:
    """The browser's path, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextmanager
def open_browser(path: str) -> Iterator[Browser]:
    """A browser that ends with the block."""
    with sync_playwright() as playwright:
        # Chromium's own sandbox refuses to run as root, which is what many containers test as.
        as_root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=not as_root)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Somebody at a screen. `complaints` is what the browser itself found wrong: errors, refused scripts and styles."""

    def __init__(self, browser: Browser, url: str, **screen: Any) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.context: BrowserContext = browser.new_context(
            **{"locale": "en-US", "viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **screen}
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", self._watch)

    def _hear(self, message: ConsoleMessage) -> None:
        # Every answer of 4xx is an "error" to the console; the dashboard shows those itself.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def _watch(self, request: Any) -> None:
        if not request.url.startswith(self.url):
            self.complaints.append(f"It asked another host: {request.url}")

    def visit(self, path: str = "/") -> Page:
        """Go there."""
        self.page.goto(self.url + path)
        return self.page

    def overflows(self) -> bool:
        """Whether one must scroll sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


NewVisitor = Callable[..., Visitor]


def signed_in(visitor: Visitor, key: str = DASHBOARD_KEY, path: str = "/") -> Page:
    page = visitor.visit(path)
    page.locator("#sign-in input").fill(key)
    page.locator("#sign-in button").click()
    expect(page.locator(".list")).to_be_visible()
    return page


def go_to(page: Page, name: str) -> None:
    page.locator(".list").get_by_role("link", name=re.compile(f"^{name} ")).click()
    expect(page.locator(".heading h2")).to_have_text(name)


def said(page: Page, text: str) -> None:
    expect(page.locator("#said")).to_contain_text(text)
