"""The page in a real browser: what it weighs, and how soon the first hashtags show.

Run: python -m benchmarks.page [--url URL] [--screenshots FOLDER], beside a server that runs.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, Response, sync_playwright

from serving.sample_photo import save_sunset
from serving.server import web_address

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
DESKTOP: dict[str, Any] = {"viewport": {"width": 1200, "height": 860}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 1240},
    "device_scale_factor": 1.5,
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "dark",
}
TRIES = 5


def weight(browser: Browser, url: str) -> tuple[int, int]:
    """Bytes of all that the page loads before there is a photo: unpacked, and on the wire."""
    page = browser.new_page()
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    page.goto(url, wait_until="networkidle")
    own = {answer.url: answer for answer in answers if answer.url.startswith(url)}.values()
    unpacked = sum(len(answer.body()) for answer in own)
    travelled = sum(answer.request.sizes()["responseBodySize"] for answer in own)
    page.close()
    return unpacked, travelled


def first_hashtags(browser: Browser, url: str, photo: Path) -> float:
    """Seconds from choosing the photo until its hashtags show."""
    page = browser.new_page()
    page.goto(url, wait_until="networkidle")
    started = time.perf_counter()
    page.set_input_files("input[type=file].filepond--browser", photo)
    page.wait_for_selector("#tags .chip")
    seconds = time.perf_counter() - started
    page.close()
    return seconds


def take(browser: Browser, url: str, photo: Path, folder: Path) -> None:
    """Two screenshots: a desktop with a heat map, and a phone after a hashtag was dropped."""
    page = _with_hashtags(browser, url, photo, DESKTOP)
    page.locator("#tags .why").nth(1).click()
    page.wait_for_selector("#heat:not([hidden])")
    _save(page, folder / "page-desktop.png")
    page = _with_hashtags(browser, url, photo, PHONE)
    page.locator("#tags .chip").nth(3).click()
    page.evaluate("document.activeElement.blur()")
    _save(page, folder / "page-phone.png")


def _with_hashtags(browser: Browser, url: str, photo: Path, context: dict[str, Any]) -> Page:
    page = browser.new_context(**context).new_page()
    page.goto(url)
    page.set_input_files("input[type=file].filepond--browser", photo)
    page.wait_for_selector("[data-filepond-item-state=processing-complete]")
    return page


def _save(page: Page, path: Path) -> None:
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)  # until nothing moves any more
    page.screenshot(path=path)
    page.context.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; exit 1 where there is no page or no Chromium."""
    parser = argparse.ArgumentParser(description="Measure the page with Debian's Chromium.")
    parser.add_argument("--url", default=web_address(), help="default: the running server's page")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="take two")
    parser.add_argument("--quick", action="store_true", help="one try instead of five")
    args = parser.parse_args(argv)
    chromium = shutil.which("chromium")
    if not (args.url and chromium):
        print("page: it needs make demo, and apt-get install chromium", file=sys.stderr)
        return 1
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        photo = save_sunset(Path(folder) / "sunset.jpg")
        unpacked, travelled = weight(browser, args.url)
        print(f"page before a photo: {unpacked / 1000:.0f} kB, {travelled / 1000:.0f} on the wire")
        times = [
            first_hashtags(browser, args.url, photo) for _ in range(1 if args.quick else TRIES)
        ]
        print(f"first hashtags: {median(times):.2f} s (of {len(times)}, best {min(times):.2f} s)")
        if args.screenshots:
            take(browser, args.url, photo, args.screenshots)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
