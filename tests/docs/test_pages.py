"""The site in a browser, in a narrow window."""

from __future__ import annotations

import pytest

from tests import needs
from tests.demo.browser import Tab, browsing

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.timeout(900)]

NARROW = 390, 844
#: What is wider than the window, though it does not scroll by itself.
WIDER = """
[...document.querySelectorAll("article *")].filter((element) => {
    const article = element.closest("article");
    for (let box = element.parentElement; box !== article; box = box.parentElement)
        if (["auto", "scroll", "hidden"].includes(getComputedStyle(box).overflowX))
            return false;
    return element.getBoundingClientRect().right > window.innerWidth + 1;
}).slice(0, 3).map((element) => element.outerHTML.slice(0, 80))
"""
BROKEN = """
[...document.images].filter((image) => image.complete && !image.naturalWidth).length
"""


def show(tab: Tab, url: str) -> None:
    """Go to a page, and wait until it is there."""
    tab.call("Page.navigate", url=url)
    tab.wait(f"document.readyState === 'complete' && location.href === {url!r}", 60)


def test_no_page_scrolls_sideways(site, tmp_path):
    program = needs.find("chromium")
    assert program is not None
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 50
    wrong = {}
    with browsing(program, tmp_path) as browser:
        tab = browser.open(pages[0].as_uri())
        tab.resize(*NARROW)
        for page in pages:
            show(tab, page.as_uri())
            wide = tab.evaluate("document.documentElement.scrollWidth")
            found = tab.evaluate(WIDER)
            if wide > NARROW[0] or found or tab.evaluate(BROKEN):
                wrong[page.name] = wide, found
        assert wrong == {}
        tab.evaluate("document.querySelector('article > *').style.width = '500px'")
        assert tab.evaluate(WIDER), "what is too wide would not have been seen"
    assert browser.complaints() == []
