"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]


class Browser:
    """
    A running browser.

    Args:
        ws: Connection to its DevTools endpoint.

    """

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.count = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self.count += 1
        command: dict[str, Any] = {"id": self.count, "method": method, "params": params}
        if session is not None:
            command["sessionId"] = session
        self.ws.send(json.dumps(command))
        while True:
            note = json.loads(self.ws.recv(timeout=30))
            if note.get("id") == self.count:
                assert "error" not in note, (method, note["error"])
                return note["result"]
            self.events.append(note)

    def open(self, url: str) -> Tab:
        """Open a tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        tab = Tab(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            tab.call(f"{domain}.enable")
        tab.call("Page.navigate", url=url)
        tab.wait(
            "document.readyState === 'complete' && location.href !== 'about:blank'"
        )
        return tab

    def complaints(self) -> list[Any]:
        """Return the exceptions and errors that any page has reported."""
        return [
            note["params"]
            for note in self.events
            if note.get("method") == "Runtime.exceptionThrown"
            or (
                note.get("method") == "Log.entryAdded"
                and note["params"]["entry"]["level"] == "error"
            )
        ]


class Tab:
    """A tab, by its session."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser, self.session = browser, session

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol on this tab."""
        return self.browser.call(method, self.session, **params)

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script: str, timeout_s: float = 20) -> Any:
        """Wait until an expression in the page is true; return its value."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.evaluate(script)):
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {script}"
            time.sleep(0.05)
        return value

    def type(self, selector: str, text: str) -> None:
        """Put text into a field, in place of what is in it, as a person would."""
        self.evaluate(f"document.querySelector({selector!r}).select()")
        self.call("Input.insertText", text=text)

    def press_enter(self) -> None:
        """Press the Enter key."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Enter",
                code="Enter",
                text="\r" if kind == "keyDown" else "",
                windowsVirtualKeyCode=13,
            )

    def resize(self, width: int, height: int) -> None:
        """Give the page a window of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def dark(self) -> None:
        """Let the page believe that its reader prefers dark colours."""
        feature = {"name": "prefers-color-scheme", "value": "dark"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def screenshot(self, path: Path) -> None:
        """Write a picture of the page."""
        self.call("Page.bringToFront")
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.contextmanager
def browsing(program: str, profile: Path) -> Iterator[Browser]:
    """
    Run a browser for the length of a block.

    Args:
        program: Path of Chromium.
        profile: An empty folder for all that it keeps.

    """
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        where = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 30
        while not (where.exists() and where.read_text().count("\n") == 1):
            assert process.poll() is None, "the browser ended at once"
            assert time.monotonic() < deadline, "the browser did not start"
            time.sleep(0.05)
        port, path = where.read_text().split("\n")
        uri = f"ws://127.0.0.1:{port}{path}"
        with connect(uri, max_size=None, proxy=None, compression=None) as ws:
            browser = Browser(ws)
            yield browser
            browser.call("Browser.close")
        process.wait(20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
