"""The page as a person sees it, in Chromium."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests import needs
from tests.demo.browser import Browser, Tab, browsing
from tests.support.process import ROOT

pytestmark = pytest.mark.needs("chromium")
ARTIFACTS = ROOT / "artifacts"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = needs.find("chromium")
    if program is None:
        pytest.skip("no browser")  # said by the mark
    with browsing(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser
        assert browser.complaints() == []


def said(tab: Tab, messages: str = "#messages") -> list[str]:
    """Return the messages in a tab, each with its author."""
    return tab.evaluate(
        f"[...document.querySelectorAll('{messages} li')].map(item =>"
        "  item.querySelector('b').textContent + ': ' + item.lastChild.data)"
    )


def say(tab: Tab, name: str, text: str) -> None:
    """Say something in the chat."""
    tab.call("Page.bringToFront")
    tab.type("#name", name)
    tab.type("#text", text)
    tab.press_enter()


def number(tab: Tab, ident: str) -> float:
    """Return a number that the page shows."""
    text = tab.evaluate(f"document.getElementById('{ident}').textContent")
    return float(re.sub(r"[^\d.]", "", text))


def test_two_tabs_chat_and_the_gauge_moves(demo, browser):
    ada, grace = browser.open(demo), browser.open(demo)
    for tab in (ada, grace):
        tab.resize(1280, 860)
        tab.wait("document.getElementById('chat-state').textContent == '2 tabs here'")
    say(ada, "Ada", "Can you hear me over there?")
    grace.wait("document.querySelectorAll('#messages li').length == 1")
    say(grace, "Grace", "Every octet of it. Grüße, привет!")
    say(grace, "Grace", "<b>not bold</b>")
    expected = [
        "Ada: Can you hear me over there?",
        "Grace: Every octet of it. Grüße, привет!",
        "Grace: <b>not bold</b>",
    ]
    for tab in (ada, grace):
        tab.wait("document.querySelectorAll('#messages li').length == 3")
        assert said(tab) == expected
        assert tab.evaluate("document.querySelectorAll('#messages li > b').length") == 0
        tab.wait("document.querySelectorAll('#room-messages li').length == 3")
    grace.type("#room-text", "The same is heard over Socket.IO.")
    grace.press_enter()
    for tab in (ada, grace):
        for messages in ("#messages", "#room-messages"):
            tab.wait(f"document.querySelectorAll('{messages} li').length == 4")
        assert said(tab, "#messages") == said(tab, "#room-messages")
    say(ada, "Ada", "Then let us see how fast it goes.")

    ada.evaluate("document.querySelector('#drive button').click()")
    ada.wait("document.getElementById('total').textContent.length > 4")
    seen = set()
    for _ in range(8):
        time.sleep(0.3)
        seen.add(number(ada, "rate"))
    assert len(seen) > 1
    assert min(seen) > 0
    assert number(ada, "p50") > 0
    assert number(ada, "p99") > 0
    assert float(ada.evaluate("document.getElementById('gauge').ariaValueNow")) > 100
    assert 0 < number(ada, "cpu") < 1000
    ada.screenshot(ARTIFACTS / "demo.png")

    ada.evaluate("document.querySelector('#drive button').click()")
    ada.wait("document.getElementById('load-state').textContent == 'stopped'")
    grace.call("Page.close")
    ada.wait("document.getElementById('chat-state').textContent == 'only you here'")


@pytest.mark.parametrize(("width", "height"), [(320, 1500), (700, 1400), (1600, 900)])
def test_nothing_sticks_out_of_the_window(demo, browser, width, height):
    tab = browser.open(demo)
    tab.resize(width, height)
    tab.dark()
    tab.wait("document.getElementById('chat-state').classList.contains('on')")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.screenshot(ARTIFACTS / f"demo-{width}.png")
    tab.call("Page.close")


def test_every_control_has_a_name(demo, browser):
    tab = browser.open(demo)
    tab.call("Accessibility.enable")
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"textbox", "combobox", "button", "meter", "log", "status", "heading"}
    found = [node for node in nodes if node["role"].get("value") in roles]
    assert {node["role"]["value"] for node in found} >= roles - {"status"}
    unnamed = [
        node["role"]["value"]
        for node in found
        if node["role"]["value"] != "status" and not node["name"].get("value")
    ]
    assert unnamed == []
    tab.call("Page.close")


def wait_until_listed(tab, path):
    """Wait until the browser says that it has made such a request."""
    tab.wait(
        "performance.getEntriesByType('resource')"
        ".map(entry => entry.name.split('?')[0])"
        f".some(name => name.includes('/sockjs/') && name.endsWith('{path}'))"
    )


@pytest.mark.parametrize(
    ("transport", "path"),
    [
        ("websocket", ""),
        ("xhr-streaming", "/xhr_streaming"),
        ("eventsource", "/eventsource"),
        ("htmlfile", "/htmlfile"),
        ("xhr-polling", "/xhr"),
        ("jsonp-polling", "/jsonp"),
    ],
)
def test_chat_over_sockjs(demo, browser, transport, path):
    tab, other = browser.open(demo), browser.open(demo)
    is_on = "document.getElementById('chat-state').classList.contains('on')"
    for each in (tab, other):
        each.wait(is_on)
    tab.evaluate(
        "(() => { const chosen = document.getElementById('transport');"
        f" chosen.value = '{transport}';"
        " chosen.dispatchEvent(new Event('change')); })()"
    )
    tab.wait(is_on)
    for speaker, text in ((tab, f"5 % over {transport}"), (other, "Grüße, 漢🚀")):
        say(speaker, "Ada", text)
        for each in (tab, other):
            each.wait(
                "document.querySelector('#messages li:last-child')?.lastChild.data"
                f" == '{text}'"
            )
    if path:
        wait_until_listed(tab, "/jsonp_send" if path == "/jsonp" else "/xhr_send")
    if path in ("/xhr", "/jsonp"):  # a stream is listed when it has ended
        wait_until_listed(tab, path)
    for each in (tab, other):
        each.call("Page.close")
