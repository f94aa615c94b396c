import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

from report import build_report

GOLDEN = Path(__file__).parents[1] / "golden"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if CHROMIUM is None:
    pytest.skip("no Chromium on PATH", allow_module_level=True)

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--disable-quic"]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Serves the golden report: what the page asks for is then seen, also a favicon."""
    folder = build_report(GOLDEN / "store", tmp_path_factory.mktemp("browser") / "out").parent
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, address):
    """Opens the page with a given width and colour scheme; checks console and requests at the end."""
    contexts, trouble, requests = [], [], []

    def open_page(width=1280, scheme="light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("requestfailed", lambda request: trouble.append(request.url))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address, wait_until="networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []
    assert requests
    assert all(url.startswith((address, "data:")) for url in requests)


def column(page, index, body="ranked"):
    return page.locator(f"table.sortable:has(tbody.bounds) tbody.{body} td:nth-child({index})").all_inner_texts()


def test_sorting_by_button(opened):
    page = opened()
    assert column(page, 1) == ["1", "2", "3", "3", "-"]
    head = page.locator("table.sortable:has(tbody.bounds) th", has_text="OA")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 1) == ["3", "3", "2", "1", "-"]
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, 1) == ["1", "2", "3", "3", "-"]
    assert page.locator("table.sortable:has(tbody.bounds) th[aria-sort]").count() == 1
    page.get_by_role("button", name="method").last.click()
    names = column(page, 2)
    assert names == sorted(names)
    assert column(page, 2, "bounds") == ["oracle_negatives"]


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_page_scrolls_sideways(opened, width):
    page = opened(width)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("[...document.images].every((image) => image.getBoundingClientRect().right <= innerWidth)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_load_and_follow_the_colour_scheme(opened, scheme):
    page = opened(scheme=scheme)
    images = page.evaluate("[...document.images].map((image) => [image.currentSrc, image.naturalWidth])")
    assert len(images) == 6
    assert all(width > 0 for _, width in images)
    assert all(source.endswith(".dark.svg") == (scheme == "dark") for source, _ in images)
