"""The pages in a real browser: Debian's chromium, driven by selenium, against a real server.

Pictures of all pages are left in build/screenshots.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PICTURES = ROOT / "build" / "screenshots"
PATIENCE = 30.0

if CHROMIUM is None or DRIVER is None:
    pytest.skip("chromium or chromedriver is not installed", allow_module_level=True)

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

FLAGS = (
    *("--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run".split()),
    *("--disable-background-networking --disable-component-update --disable-sync".split()),
    *("--hide-scrollbars --disable-dev-shm-usage".split()),
)
PAGES = ("", "types", "allocations", "allocations?by=traceback", "routes", "leaks", "snapshots")
LOGIN, HOSTILE = "/login/{}", "/hostile/x"


class Server:
    """tests/web/demo_app.py in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("demo_app.py"))],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.asked = 0
        self.url = self.process.stdout.readline().strip()
        self.base = self.url.partition("?")[0]
        parts = urlsplit(self.url)
        self.origin = f"{parts.scheme}://{parts.netloc}"

    def ask(self, path: str, times: int = 1) -> None:
        for _ in range(times):
            self.asked += 1
            address = self.origin + path.format(self.asked)  # another user each time
            try:
                with urllib.request.urlopen(address, timeout=20) as answer:
                    answer.read()
            except urllib.error.HTTPError as error:
                error.close()

    def work(self) -> None:
        for path in (LOGIN, "/search", "/orders/3", "/export.csv", HOSTILE):
            self.ask(path, 24)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Browser:
    """A chromium with a profile of its own."""

    def __init__(
        self, folder: Path, *, width: int = 1280, dark: bool = False, script: bool = True
    ) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        if not script:
            settings = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", settings)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        # With its path given, selenium looks for no driver elsewhere.
        self.driver = webdriver.Chrome(service=Service(DRIVER), options=options)
        self.driver.set_page_load_timeout(60)
        self.width = width
        self._size(1000)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def _size(self, height: int) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=self.width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def of(self, selector: str, script: str) -> Any:
        """What a script says of an element, `one`, once it is there.

        One command, since between two of them the page may be renewed or another one open.
        """
        look = f"const one = document.querySelector({json.dumps(selector)});"
        said: list[list[Any]] = []

        def there() -> bool:
            said.append(self.run(f"{look} return one === null ? [] : [{script}]"))
            return bool(said[-1])

        self.until(there, f"an element {selector}")
        return said[-1][0]

    def text(self, selector: str) -> str:
        return str(self.of(selector, "one.textContent"))

    def click(self, selector: str) -> None:
        self.of(selector, "one.click()")

    def type(self, *keys: str) -> None:
        """On the keyboard: whatever has the focus gets it."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def type_into(self, selector: str, *keys: str) -> None:
        self.of(selector, "one.focus()")
        self.type(*keys)

    def replace_with(self, *keys: str) -> None:
        """Instead of all that is in the field with the focus."""
        chain = webdriver.ActionChains(self.driver)
        chain.key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).perform()
        self.type(*keys)

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"never: {what}"
            time.sleep(0.1)

    def rows(self, table: str, column: int) -> list[float]:
        """The values of a column, of the rows that are shown."""
        found: list[float] = self.run(
            f"return [...document.getElementById('{table}').tBodies[0].rows]"
            f".filter(row => !row.hidden).map(row => Number(row.cells[{column}].dataset.value))"
        )
        return found

    def picture(self, name: str) -> None:
        """The whole page; nothing of it may stick out."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self._size(min(int(self.run("return document.documentElement.scrollHeight")), 4000))
        target = PICTURES / f"{name}.png"
        assert self.driver.save_screenshot(str(target))
        assert target.stat().st_size > 5000
        self._size(1000)
        across = "return document.documentElement.scrollWidth - innerWidth"
        assert self.run(across) <= 0, f"{name} is wider than the window"

    def complaints(self) -> list[str]:
        """What the console says."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self) -> list[str]:
        """The addresses of all requests so far."""
        messages = [
            json.loads(one["message"])["message"] for one in self.driver.get_log("performance")
        ]
        return [
            one["params"]["request"]["url"]
            for one in messages
            if one["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    try:
        server.work()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def shared(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    try:
        browser.driver.get(server.url)
        yield browser
    finally:
        browser.driver.quit()


@pytest.fixture
def browser(shared: Browser) -> Browser:
    shared.complaints()
    return shared


def test_the_token_opens_and_does_not_stay_in_the_url(browser: Browser, server: Server) -> None:
    browser.driver.get(server.url)
    assert browser.driver.current_url == server.base
    assert "memscope" in browser.driver.title
    assert browser.text("h1") == "Overview"


def test_live_update_arrives_without_reload(browser: Browser, server: Server) -> None:
    browser.driver.get(server.base)
    browser.run("window.same = true")
    requests = ".figures div:nth-child(4) dd"
    before = browser.text(requests)
    server.ask("/search", 7)
    browser.until(lambda: browser.text(requests) != before, "another number of requests")
    now, then = (int(one.replace(",", "")) for one in (browser.text(requests), before))
    assert now - then == 7
    assert browser.run("return window.same") is True


def test_another_worker_is_told(browser: Browser, server: Server) -> None:
    browser.driver.get(server.base)
    pid = browser.run("return document.getElementById('main').dataset.pid")
    assert f"process {pid}" in browser.text(".worker")
    # As if the page had come from another process of the same server.
    browser.run("document.getElementById('main').dataset.pid = '1'")
    browser.until(lambda: f"process {pid}" in browser.text("#says"), "that another one answered")


def test_pause_and_resume(browser: Browser, server: Server) -> None:
    browser.driver.get(server.base)
    browser.click("#pause")
    assert browser.text("#says") == "Paused."
    assert browser.of("#says", "one.getAttribute('role')") == "status"
    at = browser.text("#as-of")
    time.sleep(3.5)
    assert browser.text("#as-of") == at
    browser.click("#pause")
    browser.until(lambda: browser.text("#as-of") != at, "an update after the pause")
    assert browser.text("#says") == ""


def test_tables_sort_by_click_and_by_keyboard(browser: Browser, server: Server) -> None:
    browser.driver.get(f"{server.base}types")
    head, sort = "#classes thead th:nth-child(4)", "one.getAttribute('aria-sort')"
    assert browser.text(head) == "Now"
    assert browser.of(head, sort) is None
    browser.click(f"{head} button")
    assert browser.of(head, sort) == "descending"
    values = browser.rows("classes", 3)
    assert len(values) > 20 and values == sorted(values, reverse=True)
    browser.type_into(f"{head} button", Keys.ENTER)
    assert browser.of(head, sort) == "ascending"
    values = browser.rows("classes", 3)
    assert values == sorted(values)
    # The choice, and the focus, outlive an update.
    browser.run("document.querySelector('#classes tbody').dataset.old = 'yes'")
    server.ask(LOGIN, 3)
    gone = "return document.querySelector('#classes tbody').dataset.old === undefined"
    browser.until(lambda: browser.run(gone), "an update of the table")
    assert browser.of(head, sort) == "ascending"
    values = browser.rows("classes", 3)
    assert values == sorted(values)
    assert browser.run("return document.activeElement.textContent") == "Now"
    # By name.
    browser.click("#classes thead th:nth-child(1) button")
    names = browser.run(
        "return [...document.querySelectorAll('#classes tbody th a')].map(a => a.text)"
    )
    assert names[0].lower() < names[-1].lower()
    assert len(browser.all("#classes [aria-sort]")) == 1
    # By pictures nothing is sorted.
    assert not browser.all("#classes thead th:nth-child(2) button")


def test_a_filter_hides_rows_and_stays(browser: Browser, server: Server) -> None:
    browser.driver.get(f"{server.base}types")
    everything = len(browser.rows("classes", 3))
    browser.type_into("#q", "SESSION")
    few = len(browser.rows("classes", 3))
    assert 0 < few < everything
    browser.run("document.querySelector('#classes tbody').dataset.old = 'yes'")
    server.ask(LOGIN, 3)
    gone = "return document.querySelector('#classes tbody').dataset.old === undefined"
    browser.until(lambda: browser.run(gone), "an update of the table")
    assert len(browser.rows("classes", 3)) == few
    assert browser.run("return document.activeElement.id") == "q"
    # What is typed is asked of the server too, which has more rows; without a reload.
    browser.run("window.same = true")
    browser.replace_with("nothing is called so")
    browser.until(lambda: "No class has" in browser.text("#list"), "no row")
    assert browser.driver.current_url.endswith("types?q=nothing+is+called+so")
    browser.replace_with(Keys.DELETE)
    shown = "return document.querySelectorAll('#classes tbody tr:not([hidden])').length"
    browser.until(lambda: browser.run(shown) >= everything, "all rows again")
    assert browser.driver.current_url.endswith("types")
    assert browser.run("return window.same") is True


def test_the_keyboard_alone(browser: Browser, server: Server) -> None:
    browser.driver.get(f"{server.base}routes")
    browser.type(Keys.TAB)
    assert browser.run("return document.activeElement.className") == "skip"
    top = "one.getBoundingClientRect().top"
    browser.until(lambda: browser.of(".skip", top) >= 0, "the link in sight")
    browser.type(Keys.ENTER)
    assert browser.run("return document.activeElement.id") == "main"
    for _ in range(40):
        browser.type(Keys.TAB)
        if browser.run("return document.activeElement.matches('#routes tbody a')"):
            break
    outline = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.run(outline) == "solid"
    browser.type(Keys.ENTER)
    browser.until(lambda: "/routes/" in browser.driver.current_url, "the page of a route")


NAMED = {"link", "button", "textbox", "searchbox", "combobox", "table", "image", "region"}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_screen_reader_gets(browser: Browser, server: Server, page: str) -> None:
    browser.driver.get(server.base + page)
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in NAMED
    ]
    assert len([role for role, _ in found if role == "link"]) >= 8
    assert [one for one in found if not one[1].strip()] == []
    roles = {node["role"]["value"] for node in nodes}
    assert {"main", "navigation", "banner", "contentinfo", "heading", "status"} <= roles


def test_who_holds_the_objects(browser: Browser, server: Server) -> None:
    browser.driver.get(f"{server.base}types?q=Session")
    browser.click("#classes tbody a")
    browser.until(lambda: "/types/" in browser.driver.current_url, "the page of a class")
    assert "Nobody looked yet" in browser.text("#held")
    browser.click("#main form.action button")
    browser.until(lambda: browser.all("#path-1"), "the path")
    assert "SESSIONS" in browser.text("#path-1")
    assert browser.all(".path svg .box.last")
    assert "token-" not in browser.text("main")


def test_snapshots_are_taken_and_compared(browser: Browser, server: Server) -> None:
    browser.driver.get(f"{server.base}snapshots")
    browser.type_into("#label", "before <b>work</b>")
    browser.click("form.action button")
    browser.until(lambda: browser.all("#taken tbody tr"), "a snapshot")
    assert "before <b>work</b>" in browser.text("#taken")
    server.ask(LOGIN, 30)
    browser.click("form.action button")
    browser.until(lambda: len(browser.all("#taken tbody tr")) == 2, "two snapshots")
    browser.click("main > section button")
    browser.until(lambda: "Compared" in browser.text("h1"), "the comparison")
    assert "demo_app.py" in browser.text("#places")
    assert "Session" in browser.text("#type-changes")
    browser.driver.get(f"{server.base}snapshots")
    browser.click("#taken form button")
    browser.until(lambda: len(browser.all("#taken tbody tr")) == 1, "one snapshot")


def test_a_leak_report_is_asked_for(browser: Browser, server: Server) -> None:
    browser.driver.get(f"{server.base}leaks")
    browser.click("form.action button")
    browser.until(lambda: browser.all("#running"), "a report that is being made")
    browser.run("window.same = true")

    def is_there() -> bool:
        server.ask(LOGIN)  # the next begins when this one is over: a checkpoint waits for that
        return bool(browser.all("article"))

    browser.until(is_there, "the report")
    assert browser.run("return window.same") is True  # the page was not loaded again
    text = browser.text("article")
    assert "SESSIONS" in text and "demo_app.py" in text and "What to do." in text
    assert "/login/" in browser.text("article dl")
    browser.driver.get(f"{server.base}routes")
    browser.click("#routes tbody a")
    browser.until(lambda: "/routes/" in browser.driver.current_url, "the page of a route")


def test_a_script_in_a_name_does_not_run(browser: Browser, server: Server) -> None:
    server.ask(HOSTILE, 5)
    for page in PAGES:
        browser.driver.get(server.base + page)
        time.sleep(2.3)  # with an update
        assert browser.run("return window.hacked") is None, page
        assert len(browser.all("script")) == 1
        assert not browser.all("main img")
    browser.driver.get(f"{server.base}types?q=evil")
    assert "<script>window.hacked = 1</script>" in browser.text("#classes")
    for link in ("#classes tbody a",):
        browser.click(link)
        browser.until(lambda: "/types/" in browser.driver.current_url, "the page of the class")
        assert "<script>" in browser.text("h1")
        browser.click("#main form.action button")
        browser.until(lambda: browser.all("#path-1"), "the path")
    browser.driver.get(f"{server.base}routes?q=hostile")
    assert "<script>" in browser.text("#routes")
    assert browser.run("return window.hacked") is None
    assert browser.complaints() == []


def test_the_policy_stops_what_would_get_through(browser: Browser, server: Server) -> None:
    browser.driver.get(server.base)
    browser.run(
        "const one = document.createElement('script'); one.textContent = 'window.hacked = 3';"
        " document.body.append(one);"
        " const other = document.createElement('img'); other.src = 'x';"
        " other.setAttribute('onerror', 'window.hacked = 4'); document.body.append(other);"
    )
    time.sleep(0.5)
    assert browser.run("return window.hacked") is None
    assert any("Content Security Policy" in one for one in browser.complaints())


def test_nothing_is_asked_of_anybody_else(browser: Browser, server: Server) -> None:
    browser.requested()
    for page in PAGES:
        browser.driver.get(server.base + page)
    time.sleep(2.3)
    found = browser.requested()
    assert len(found) > len(PAGES)
    assert [one for one in found if not one.startswith((f"{server.base}", "data:"))] == []


def test_without_a_script(server: Server, tmp_path: Path) -> None:
    browser = Browser(tmp_path, script=False)
    try:
        driver = browser.driver
        driver.get(server.url)

        def shows(text: str) -> None:
            browser.until(lambda: text in browser.text("main"), text)

        def follow(page: str, expected: str) -> None:
            browser.type_into(f"nav a[href$='/{page}']", Keys.ENTER)
            browser.until(lambda: driver.current_url == server.base + page, f"the page {page}")
            shows(expected)

        shows("Resident")
        assert not browser.all("#pause")  # what needs a script is not there
        before = browser.text("#as-of")
        time.sleep(1.1)
        browser.type_into("#refresh", Keys.ENTER)
        browser.until(lambda: browser.text("#as-of") != before, "the page of another time")
        follow("types", "Objects of each class")
        follow("allocations", "by line")
        follow("routes", "keeps growing")
        follow("leaks", "which line allocated it")
        follow("snapshots", "Take a snapshot")
        browser.type_into("#label", "without a script", Keys.ENTER)
        browser.until(lambda: browser.all("#taken tbody tr"), "a snapshot")
        assert "without a script" in browser.text("#taken")
        follow("types", "Objects of each class")
        browser.type_into("#q", "Session", Keys.ENTER)
        browser.until(
            lambda: driver.current_url.endswith("types?q=Session"), "the classes asked for"
        )
        assert 1 <= len(browser.all("#classes tbody tr")) < 10
        browser.picture("no-script-types")
    finally:
        driver.quit()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_how_it_looks(server: Server, tmp_path: Path, width: int, dark: bool) -> None:
    browser = Browser(tmp_path, width=width, dark=dark)
    look = f"{'dark' if dark else 'light'}-{width}"
    try:
        browser.driver.get(server.url)
        red, green, blue = browser.run(
            "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        )
        assert (red + green + blue < 200) == dark
        for page in PAGES:
            browser.driver.get(server.base + page)
            name = page.replace("?by=", "-") or "overview"
            browser.picture(f"{name}-{look}")
        browser.driver.get(f"{server.base}types?q=Session")
        browser.click("#classes tbody a")
        browser.until(lambda: browser.all("#held"), "the page of a class")
        browser.picture(f"type-{look}")
        browser.driver.get(f"{server.base}routes?q=login")
        browser.click("#routes tbody a")
        browser.until(lambda: browser.all("#series"), "the page of a route")
        browser.picture(f"route-{look}")
        assert browser.complaints() == []
    finally:
        browser.driver.quit()


def test_a_server_that_is_gone_is_told(tmp_path: Path) -> None:
    server = Server()
    try:
        browser = Browser(tmp_path)
        try:
            browser.driver.get(server.url)
            text = browser.text(".figures")
            server.stop()
            browser.until(
                lambda: "open the URL that it printed" in browser.text("#says"), "that it is gone"
            )
            assert browser.text(".figures") == text  # what was known stays
        finally:
            browser.driver.quit()
    finally:
        server.stop()
