"""A headless Chromium from Debian, controlled over the W3C WebDriver protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import find_free_port

ENTER = "\ue007"


@dataclass(frozen=True)
class Browser:
    """A chromedriver session."""

    url: str

    def ask(self, path: str, method: str = "POST", **body: Any) -> Any:
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self.url + path, data=data, headers={"content-type": "application/json"}, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def go(self, url: str) -> None:
        self.ask("/url", url=url)

    def text(self) -> str:
        return str(self.ask("/execute/sync", script="return document.body.innerText", args=[]))

    def refused_hosts(self) -> set[str]:
        """Hosts that pages tried to reach since the last call and that the content security policy of our servers blocked."""
        lines = [line["message"].partition(" ")[2] for line in self.ask("/se/log", type="browser")]
        return {host for line in lines if "Content Security Policy" in line for host in re.findall(r"\w+://([^/'\s]+)", line)}

    def shows(self, *texts: str) -> None:
        """Wait until the page shows all of the texts."""
        deadline = time.monotonic() + 60
        while not all(text in self.text() for text in texts):
            assert time.monotonic() < deadline, f"{texts} not in: {self.text()}"
            time.sleep(0.5)

    def enter(self, css: str, text: str) -> None:
        """Type into the first matching element once it exists."""
        deadline = time.monotonic() + 60
        while not (found := self.ask("/elements", using="css selector", value=css)):
            assert time.monotonic() < deadline, f"no {css} in: {self.text()}"
            time.sleep(0.5)
        (element,) = found[0].values()
        self.ask(f"/element/{element}/value", text=text)

    def click(self, text: str) -> None:
        """Click on the element with that text."""
        (element,) = self.ask("/element", using="xpath", value=f"//*[text()='{text}']").values()
        self.ask(f"/element/{element}/click")

    def resize(self, height: int) -> None:
        """Set the height of the window."""
        self.ask("/window/rect", width=1600, height=height)

    def picture(self, file: Path) -> None:
        """Save the page as PNG once it stops changing, or after half a minute."""
        shown, deadline = "", time.monotonic() + 30
        while time.monotonic() < deadline:
            time.sleep(5)
            before, shown = shown, str(self.ask("/screenshot", method="GET"))
            if shown == before:
                break
        file.write_bytes(base64.b64decode(shown))


@contextlib.contextmanager
def open_browser(*arguments: str) -> Iterator[Browser]:
    """A Chromium with additional arguments; installed from Debian if missing."""
    if shutil.which("chromedriver") is None:
        subprocess.run(["apt-get", "update"], check=True, capture_output=True)
        subprocess.run(
            ["apt-get", "install", "-y", "--no-install-recommends", "chromium", "chromium-driver"], check=True, capture_output=True
        )
    port = find_free_port()
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    always = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-proxy-server"]
    try:
        time.sleep(2)
        wanted = {
            "alwaysMatch": {
                "goog:chromeOptions": {"args": [*always, *arguments]},
                "goog:loggingPrefs": {"browser": "ALL"},
                "timeouts": {"script": 60_000, "pageLoad": 90_000},
            }
        }
        session = Browser(f"http://127.0.0.1:{port}").ask("/session", capabilities=wanted)["sessionId"]
        browser = Browser(f"http://127.0.0.1:{port}/session/{session}")
        yield browser
        browser.ask("", method="DELETE")
    finally:
        driver.terminate()
        driver.wait(20)
