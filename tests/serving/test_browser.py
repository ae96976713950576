"""The page in a real browser: Debian's Chromium."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Route,
    TimeoutError,
    expect,
)
from playwright.sync_api import Page as Tab

from serving.page import Page
from tests.conftest import ROOT

pytestmark = [pytest.mark.serving, pytest.mark.browser]

AXE = ROOT / "web" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
REMOVE = ".filepond--action-remove-item, .filepond--action-revert-item-processing"
PATIENCE = 60_000  # milliseconds, on a machine that is busy
PHONE: dict[str, Any] = {
    "viewport": {"width": 320, "height": 640},
    "has_touch": True,
    "is_mobile": True,
    "color_scheme": "dark",
    "reduced_motion": "reduce",
}

expect.set_options(timeout=PATIENCE)


Open = Callable[..., Tab]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """opened(page, **context): a tab that asks nothing of elsewhere, and breaks no rule."""
    contexts, strange = [], []

    def complain(message: ConsoleMessage) -> None:
        loading = message.text.startswith("Failed to load resource")
        if "[DOM]" in message.text or (message.type == "error" and not loading):
            strange.append(message.text)

    def open_(page: Page, **options: Any) -> Tab:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(PATIENCE)
        tab.on("console", complain)
        tab.on("pageerror", lambda e: strange.append(str(e)))
        tab.on("dialog", lambda dialog: (strange.append(dialog.message), dialog.dismiss()))
        own = (page.url, f"blob:{page.url}", "data:")
        context.on("request", lambda r: r.url.startswith(own) or strange.append(r.url))
        tab.goto(page.url)
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert strange == []


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
def photo(files: Path, jpeg: bytes) -> Path:
    (files / "beach.jpg").write_bytes(jpeg)
    return files / "beach.jpg"


def give(tab: Tab, *photos: Path) -> None:
    tab.set_input_files("input.filepond--browser", [str(path) for path in photos])


def chips(tab: Tab) -> Locator:
    return tab.locator("#tags .chip")


def texts(tab: Tab) -> list[str]:
    return tab.locator("#tags .chip-text").all_inner_texts()


def messages(tab: Tab) -> Locator:
    return tab.locator("#messages [role=alert]")


@contextmanager
def usable_afterwards(tab: Tab, photo: Path) -> Iterator[None]:
    """Whatever happens here, the next photo gets its hashtags."""
    yield
    while tab.locator(".filepond--item").count():
        with suppress(TimeoutError):  # it has gone by itself
            tab.locator(REMOVE).filter(visible=True).first.click(timeout=2000)
        tab.wait_for_timeout(300)
    expect(tab.locator(".filepond--item")).to_have_count(0)
    give(tab, photo)
    expect(chips(tab)).to_have_count(5)


def test_a_dropped_photo_gets_five_hashtags_to_choose_from_and_copy(
    opened: Open, served_page: Page, jpeg: bytes
) -> None:
    tab = opened(served_page)
    drop(tab, jpeg)
    expect(chips(tab)).to_have_count(5)
    expect(tab.locator("#photo")).to_be_visible()
    expect(tab.locator("#tags .chip-score").first).to_have_text(re.compile(r"^\d+ %$"))
    before = texts(tab)
    chips(tab).nth(1).click()
    expect(chips(tab)).to_have_count(5)
    after = texts(tab)
    assert after[:4] == [before[0], *before[2:]]
    assert after[4] not in before
    tab.get_by_role("button", name="Copy 5 hashtags").click()
    expect(tab.locator("#status")).to_contain_text("Copied")
    assert tab.evaluate("navigator.clipboard.readText()") == " ".join(after)
    assert all(re.fullmatch("#[A-Z][a-z]+", text) for text in after)
    tab.locator("#dropped").get_by_role("button").click()
    assert texts(tab) == before


def drop(tab: Tab, data: bytes, kind: str = "drop") -> None:
    """As a browser tells of a file that is dropped on, or pasted into, the page."""
    tab.evaluate(
        """([bytes, kind]) => {
            const dataTransfer = new DataTransfer();
            const file = new File([new Uint8Array(bytes)], "beach.jpg", { type: "image/jpeg" });
            dataTransfer.items.add(file);
            if (kind === "paste") {
                const clipboardData = dataTransfer;
                document.dispatchEvent(new ClipboardEvent(kind, { clipboardData, bubbles: true }));
                return;
            }
            const root = document.querySelector(".filepond--root");
            const { x, y } = root.getBoundingClientRect();
            for (const type of ["dragenter", "dragover", "drop"])
                root.dispatchEvent(new DragEvent(type, {
                    dataTransfer, bubbles: true, cancelable: true, clientX: x + 50, clientY: y + 50,
                }));
        }""",
        [list(data), kind],
    )


def test_a_pasted_photo_gets_hashtags(opened: Open, served_page: Page, jpeg: bytes) -> None:
    tab = opened(served_page)
    drop(tab, jpeg, "paste")
    expect(chips(tab)).to_have_count(5)


def test_keys_do_what_taps_do(opened: Open, served_page: Page, photo: Path) -> None:
    tab = opened(served_page)
    give(tab, photo)
    chips(tab).first.focus()
    before = texts(tab)
    tab.keyboard.press("Enter")
    expect(tab.locator("#dropped")).to_be_visible()
    assert texts(tab)[0] == before[1]
    expect(chips(tab).first).to_be_focused()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    expect(tab.locator("#heat")).to_be_visible()


def test_why_a_hashtag_is_shown_on_the_photo(opened: Open, served_page: Page, photo: Path) -> None:
    tab = opened(served_page)
    give(tab, photo)
    why = tab.locator(".why").nth(2)
    why.click()
    expect(tab.locator("#heat")).to_be_visible()
    expect(tab.locator("#stage-note")).to_have_text(f"Where the model saw {texts(tab)[2]}")
    assert tab.locator("#heat").bounding_box() == tab.locator("#photo").bounding_box()
    expect(why).to_have_attribute("aria-pressed", "true")
    why.click()
    expect(tab.locator("#heat")).to_be_hidden()


def test_the_platform_sets_the_number_and_the_links(
    opened: Open, served_page: Page, photo: Path
) -> None:
    tab = opened(served_page)
    give(tab, photo)
    expect(chips(tab)).to_have_count(5)
    links = tab.locator("#tags a")
    expect(links.first).to_have_attribute(
        "href", re.compile(r"^https://www\.instagram\.com/explore/")
    )
    expect(links.first).to_have_attribute("rel", "noopener noreferrer")
    tab.get_by_text("Threads").click()
    expect(chips(tab)).to_have_count(1)
    expect(tab.get_by_role("button", name="Copy 1 hashtag")).to_be_enabled()
    tab.get_by_text("Mastodon").click()
    expect(chips(tab)).to_have_count(8)
    tab.reload()
    expect(tab.locator("#platform-mastodon")).to_be_checked()


def test_a_carousel_agrees_on_five_and_one_broken_photo_is_named(
    opened: Open, served_page: Page, photo: Path, files: Path, picture: Image.Image, jpeg: bytes
) -> None:
    picture.rotate(180).convert("L").save(files / "grey.png")
    (files / "broken.jpg").write_bytes(jpeg[:-2000])
    tab = opened(served_page)
    with usable_afterwards(tab, photo):
        give(tab, photo, files / "broken.jpg", files / "grey.png")
        expect(tab.locator("#status")).to_have_text("Agreed by 2 of 3 photos; 1 could not be read.")
        expect(messages(tab)).to_contain_text("broken.jpg: The image is truncated or damaged")
        expect(chips(tab)).to_have_count(5)
        whole = texts(tab)
        expect(tab.locator("#counter")).to_have_text("3 / 3")
        tab.get_by_text("this photo").click()
        expect(chips(tab)).to_have_count(5)
        tab.get_by_role("button", name="Next photo").click()
        expect(tab.locator("#counter")).to_have_text("1 / 3")
        expect(chips(tab)).to_have_count(5)
        tab.get_by_role("button", name="Next photo").click()
        expect(chips(tab)).to_have_count(0)
        tab.get_by_text("the whole post").click()
        assert texts(tab) == whole


def test_a_broken_last_photo_leaves_the_stage_to_the_first_with_hashtags(
    opened: Open, served_page: Page, photo: Path, files: Path, jpeg: bytes
) -> None:
    (files / "broken.jpg").write_bytes(jpeg[:-2000])
    tab = opened(served_page)
    give(tab, photo, photo, files / "broken.jpg")
    expect(tab.locator("#counter")).to_have_text("1 / 3")
    expect(tab.locator("#photo")).to_have_attribute("alt", "Photo 1 of 3: beach.jpg")
    tab.get_by_role("button", name="Previous photo").click()
    expect(tab.locator("#counter")).to_have_text("3 / 3")


def test_a_single_unreadable_photo_offers_nothing_to_copy(
    opened: Open, served_page: Page, photo: Path, files: Path
) -> None:
    (files / "nonsense.jpg").write_text("no photo")
    tab = opened(served_page)
    with usable_afterwards(tab, photo):
        give(tab, files / "nonsense.jpg")
        expect(messages(tab)).to_contain_text("nonsense.jpg: This is not an image")
        expect(tab.locator(".filepond--file-status-main")).to_have_text("Not a photo")
        expect(tab.locator("#copy")).to_be_hidden()
        expect(tab.get_by_text("Instagram", exact=True)).to_be_hidden()
    expect(tab.locator("#copy")).to_be_enabled()


def test_the_little_picture_is_done_when_the_hashtags_are_there(
    opened: Open, served_page: Page, photo: Path
) -> None:
    tab = opened(served_page)
    give(tab, photo)
    tab.wait_for_selector("#tags .chip")
    tab.wait_for_selector(".filepond--item[data-answered]", timeout=500)
    assert tab.locator(".filepond--action-abort-item-processing:visible").count() == 0
    assert tab.locator(".filepond--process-indicator:visible").count() == 0


@pytest.mark.parametrize(
    "context",
    [
        {"viewport": {"width": 1200, "height": 900}},
        PHONE | {"viewport": {"width": 393, "height": 727}},
    ],
    ids=["desktop", "Pixel 5"],
)
def test_the_first_screen_shows_all_hashtags_above_the_button(
    opened: Open, served_page: Page, photo: Path, context: Any
) -> None:
    tab = opened(served_page, **context)
    give(tab, photo)
    expect(chips(tab)).to_have_count(5)
    expect(tab.locator("#photo")).to_be_visible()
    last, button = chips(tab).last.bounding_box(), tab.locator("#copy").bounding_box()
    assert last is not None
    assert button is not None
    assert last["y"] + last["height"] <= button["y"]
    assert button["y"] + button["height"] <= context["viewport"]["height"]


def test_the_photos_of_a_post_agree_by_their_mean(
    opened: Open, served_page: Page, photo: Path, files: Path, jpeg: bytes
) -> None:
    (files / "second.jpg").write_bytes(jpeg + b" ")
    found = iter(
        [{"dog": 0.9, "sky": 0.5, "snow": 0.1}, {"sky": 0.8, "food": 0.7, "dog": 0.1}],
    )

    def answer(route: Route) -> None:
        scores = next(found).items()
        tags = [{"tag": tag, "text": f"#{tag}", "score": score} for tag, score in scores]
        route.fulfill(json={"model": "m", "version": "1", "hashtags": tags, "abstained": False})

    tab = opened(served_page)
    tab.route("**/page/hashtags", answer)
    give(tab, photo, files / "second.jpg")
    expect(tab.locator("#status")).to_have_text("Agreed by 2 of 2 photos.")
    assert texts(tab) == ["#sky", "#dog", "#food", "#snow"]
    assert tab.locator("#tags .chip-score").first.inner_text() == "65 %"
    chips(tab).first.click()
    assert texts(tab) == ["#dog", "#food", "#snow"]
    tab.get_by_text("this photo").click()
    assert texts(tab) == ["#sky", "#food", "#dog"]
    tab.get_by_role("button", name="Previous photo").click()
    assert texts(tab) == ["#dog", "#sky", "#snow"]


def test_no_network_is_said_and_another_try_works(
    opened: Open, served_page: Page, photo: Path
) -> None:
    tab = opened(served_page)
    expect(tab.locator(".filepond--root")).to_be_visible()
    tab.context.set_offline(True)
    give(tab, photo)
    expect(messages(tab)).to_contain_text("The server cannot be reached")
    tab.context.set_offline(False)
    tab.get_by_role("button", name="Try again").click()
    expect(chips(tab)).to_have_count(5)
    expect(messages(tab)).to_have_count(0)


AGAIN = ".filepond--action-retry-item-processing"


@pytest.mark.parametrize("status", [0, 413, 415, 422, 429, 503])
def test_another_try_is_offered_where_it_may_help(
    opened: Open, served_page: Page, photo: Path, status: int
) -> None:
    def refuse(route: Route) -> None:
        error = {"code": status, "type": "Some", "message": "It is so."}
        route.fulfill(status=status, json=error) if status else route.abort()

    tab = opened(served_page)
    tab.route("**/page/hashtags", refuse)
    give(tab, photo)
    expect(messages(tab)).to_have_count(1)
    tab.wait_for_selector("[data-filepond-item-state=processing-error]")
    tab.wait_for_timeout(1000)  # FilePond has faded its buttons in
    helps = status not in (413, 415, 422)
    expect(tab.get_by_role("button", name="Try again")).to_be_visible(visible=helps)
    expect(tab.locator(AGAIN)).to_be_visible(visible=helps)
    expect(tab.locator(REMOVE).filter(visible=True)).to_have_count(1)


def test_the_tab_key_goes_from_top_to_bottom_on_a_phone(
    opened: Open, served_page: Page, photo: Path
) -> None:
    tab = opened(served_page, **PHONE)
    give(tab, photo, photo)
    expect(tab.locator("#status")).to_have_text("Agreed by 2 of 2 photos.")
    tab.wait_for_timeout(1000)  # FilePond has faded its buttons in
    seen = stops(tab)
    assert {"copy", "next", "chip"} < {name for name, _, _ in seen}
    assert any("filepond" in name for name, _, _ in seen)
    for (_, top, _), (name, _, bottom) in pairwise(seen):
        assert bottom >= top, (name, seen)


def stops(tab: Tab) -> list[tuple[str, float, float]]:
    """Where the tab key leads: id or class, upper and lower edge on the page."""
    found: list[tuple[str, float, float]] = []
    while len(found) < 60:
        tab.keyboard.press("Tab")
        stop = tab.evaluate(
            """() => {
                const { id, className, tagName } = document.activeElement;
                const { top, bottom } = document.activeElement.getBoundingClientRect();
                return tagName === "BODY" ? null
                    : [id || className, top + scrollY, bottom + scrollY];
            }"""
        )
        if stop is None:
            break
        found.append(tuple(stop))
    return found


def test_a_turned_phone_keeps_the_focus(opened: Open, served_page: Page, photo: Path) -> None:
    tab = opened(served_page, **PHONE)
    give(tab, photo)
    chips(tab).nth(2).focus()
    tab.set_viewport_size({"width": 1200, "height": 640})
    expect(tab.locator("#post + #panel")).to_be_visible()
    expect(chips(tab).nth(2)).to_be_focused()
    tab.set_viewport_size({"width": 320, "height": 640})
    expect(tab.locator("#stage + #panel")).to_be_visible()
    expect(chips(tab).nth(2)).to_be_focused()


def test_a_service_that_is_down_is_said_to_be(
    opened: Open, forlorn_page: Page, photo: Path
) -> None:
    tab = opened(forlorn_page)
    give(tab, photo)
    expect(messages(tab)).to_contain_text("does not answer at the moment")
    tab.get_by_role("button", name="Try again").click()
    expect(messages(tab)).to_contain_text("does not answer at the moment")
    expect(tab.locator("#photo")).to_be_visible()


def test_what_is_too_large_or_no_photo_is_not_even_sent(
    opened: Open, served_page: Page, photo: Path, files: Path
) -> None:
    (files / "large.jpg").write_bytes(bytes(21_000_000))
    (files / "notes.txt").write_text("no photo")
    tab = opened(served_page)
    with usable_afterwards(tab, photo):
        give(tab, files / "large.jpg", files / "notes.txt")
        expect(messages(tab)).to_have_count(2)
        expect(messages(tab).first).to_contain_text("large.jpg: Too large. 20 MB at most")
        expect(messages(tab).nth(1)).to_contain_text("notes.txt: This is not a photo")


def test_too_many_pixels_are_refused_in_words(
    opened: Open, served_page: Page, photo: Path, files: Path
) -> None:
    Image.new("1", (9000, 9000)).save(files / "wide.png")
    tab = opened(served_page)
    with usable_afterwards(tab, photo):
        give(tab, files / "wide.png")
        expect(messages(tab)).to_contain_text("too many")


def test_heic_is_shown_and_tagged(
    opened: Open, served_page: Page, files: Path, picture: Image.Image
) -> None:
    picture.save(files / "IMG_0001.HEIC", "HEIF")
    tab = opened(served_page)
    give(tab, files / "IMG_0001.HEIC")
    expect(chips(tab)).to_have_count(5)
    expect(tab.locator("#photo")).to_be_visible()
    assert tab.locator("#photo").evaluate("image => image.naturalWidth") == 320


def test_a_turned_photo_fits_a_small_phone(
    opened: Open, served_page: Page, files: Path, picture: Image.Image
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    grain = Image.effect_noise((3200, 2400), 90).convert("RGB")
    Image.blend(picture.resize(grain.size), grain, 0.2).save(files / "phone.jpg", exif=exif)
    tab = opened(served_page, **PHONE)
    with tab.expect_response("**/page/hashtags") as answer:
        give(tab, files / "phone.jpg")
    sent = int(answer.value.request.header_value("content-length") or 0)
    expect(chips(tab)).to_have_count(5)
    expect(tab.locator("#photo")).to_be_visible()
    box = tab.locator("#photo").bounding_box()
    assert box is not None
    assert box["height"] > box["width"]
    assert tab.evaluate("document.documentElement.scrollWidth") == 320
    tab.locator(".why").first.click()
    expect(tab.locator("#heat")).to_be_visible()
    heat = tab.locator("#heat").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert heat == [96, 128]
    assert 0 < sent < (files / "phone.jpg").stat().st_size / 2
    for target in tab.locator("button:visible, a:visible, label[for^=platform]").all():
        size = target.bounding_box()
        assert size is None or size["height"] >= 24  # WCAG 2.2, 2.5.8


@pytest.mark.parametrize("context", [{}, PHONE], ids=["light desktop", "dark phone"])
def test_axe_finds_nothing_serious(
    opened: Open, served_page: Page, photo: Path, files: Path, jpeg: bytes, context: Any
) -> None:
    (files / "broken.jpg").write_bytes(jpeg[:-2000])
    tab = opened(served_page, bypass_csp=True, **context)  # for axe, which we inject
    tab.add_script_tag(path=AXE)
    expect(tab.locator(".filepond--drop-label")).to_have_css("opacity", "1")  # it fades in
    assert serious(tab) == []
    give(tab, photo, files / "broken.jpg", photo)
    expect(messages(tab)).to_have_count(1)
    expect(chips(tab)).to_have_count(5)
    chips(tab).first.click()
    tab.wait_for_timeout(1000)  # FilePond has faded its items in
    assert serious(tab) == []


def serious(tab: Tab) -> list[str]:
    found = tab.evaluate("axe.run()")["violations"]
    return [
        f"{violation['id']}: {node['html']}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


ATTACK = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def test_names_and_metadata_are_never_html(
    opened: Open, served_page: Page, files: Path, picture: Image.Image, jpeg: bytes
) -> None:
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = ATTACK
    name = ATTACK.replace("/", "∕")
    picture.save(files / f"{name}.jpg", exif=exif)
    (files / f"broken {name}.jpg").write_bytes(jpeg[:-2000])
    (files / f"{name}.txt").write_text("no photo")
    tab = opened(served_page)
    give(tab, *(files.glob("*<img*")))
    expect(messages(tab)).to_have_count(2)
    expect(chips(tab)).to_have_count(5)
    assert tab.locator("img[src=x], script:not([src])").count() == 0


def test_hashtags_are_never_html(opened: Open, served_page: Page, photo: Path) -> None:
    tags = [{"tag": f"{ATTACK}{i}", "text": f"#{ATTACK}{i}", "score": 0.5} for i in range(9)]
    answer = {"model": ATTACK, "version": "1", "hashtags": tags, "abstained": True}
    tab = opened(served_page)
    tab.route("**/page/hashtags", lambda route: route.fulfill(json=answer))
    give(tab, photo)
    expect(chips(tab)).to_have_count(5)
    chips(tab).first.click()
    expect(tab.locator("#status")).to_contain_text("guesses")
    assert tab.locator("img[src=x], script:not([src])").count() == 0
    href = tab.locator("#tags a").first.get_attribute("href") or ""
    assert "%3Cimg" in href


def test_the_page_shows_without_a_network(opened: Open, served_page: Page) -> None:
    tab = with_service_worker(opened(served_page))
    tab.context.set_offline(True)
    tab.reload()
    expect(tab.get_by_role("heading", level=1)).to_be_visible()
    expect(tab.locator(".filepond--root")).to_be_visible()
    tab.context.set_offline(False)


def with_service_worker(tab: Tab) -> Tab:
    tab.evaluate("navigator.serviceWorker.ready")
    tab.wait_for_function("navigator.serviceWorker.controller")
    return tab


OTHER = "http://elsewhere.localhost:9"  # nothing is there: the test answers for it

SHARE = """(bytes) => {
    const form = document.createElement("form");
    form.method = "post";
    form.enctype = "multipart/form-data";
    form.action = ACTION;
    const input = Object.assign(document.createElement("input"), { type: "file", name: "photos" });
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], "shared.jpg", { type: "image/jpeg" }));
    input.files = transfer.files;
    form.append(input);
    document.body.append(form);
    form.submit();
}"""


def share(tab: Tab, action: str, photo: bytes) -> None:
    """Post a form with a photo, as the device's share menu does, or another site."""
    with tab.expect_navigation():
        tab.evaluate(SHARE.replace("ACTION", repr(action)), list(photo))


def test_a_shared_photo_gets_its_hashtags(opened: Open, served_page: Page, jpeg: bytes) -> None:
    tab = with_service_worker(opened(served_page))
    share(tab, "/share", jpeg)
    tab.get_by_role("button", name="Yes, find hashtags").click()
    expect(chips(tab)).to_have_count(5)
    assert tab.url == f"{served_page.url}/"


def test_another_site_gets_nothing_done_with_what_it_sends(
    opened: Open, served_page: Page, jpeg: bytes, browser: Browser
) -> None:
    context = browser.new_context()
    context.route(f"{OTHER}/**", lambda route: route.fulfill(body="<p>", content_type="text/html"))
    other = context.new_page()
    seen: list[tuple[int, str]] = []
    context.on("response", lambda r: seen.append((r.status, r.url.removeprefix(served_page.url))))
    other.goto(f"{OTHER}/")
    other.evaluate(
        "url => fetch(url, {method: 'POST', mode: 'no-cors', body: 'photo'}).catch(() => null)",
        f"{served_page.url}/page/hashtags",
    )
    share(other, f"{served_page.url}/share", jpeg)
    assert (403, "/share") in seen
    assert (200, "/page/hashtags") not in seen
    # With the service worker, which cannot tell whose form it was, the page asks first.
    other.goto(served_page.url)
    with_service_worker(other)
    other.goto(f"{OTHER}/")
    seen.clear()
    share(other, f"{served_page.url}/share", jpeg)
    other.get_by_role("button", name="No", exact=True).click()
    other.wait_for_timeout(500)
    assert not [url for _, url in seen if url.startswith("/page/")]
    context.close()


def test_feedback_is_sent_when_it_is_wanted(
    opened: Open, page_with_feedback: tuple[Page, Path], photo: Path
) -> None:
    page, file = page_with_feedback
    tab = opened(page)
    give(tab, photo)
    expect(chips(tab)).to_have_count(5)
    size = file.stat().st_size if file.exists() else 0
    chips(tab).nth(0).click()
    expect(tab.get_by_label("The photo too")).not_to_be_checked()
    assert (file.stat().st_size if file.exists() else 0) == size
    tab.get_by_label("The photo too").check()
    tab.get_by_role("button", name="Send what I kept and dropped").click()
    expect(tab.locator("#status")).to_contain_text("Thank you")
    assert file.stat().st_size > size
