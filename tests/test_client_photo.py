"""Photos of every form become the bytes that travel: smaller where nothing is lost."""

import sys
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.faults import FaultyServer, digest
from hashstagram_client import HashtagClient, PhotoDownloadError
from hashstagram_client.photo import to_bytes
from hashstagram_client.shrink import SHORTER_SIDE
from tests.conftest import Downloads

Encode = Callable[..., bytes]
ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def large(picture: Image.Image) -> Image.Image:
    """The picture with the noise of a phone's, and large enough to be made smaller."""
    big = np.asarray(picture.resize((800, 600))).astype(int)
    noise = np.random.default_rng(0).integers(-20, 21, big.shape)
    return Image.fromarray((big + noise).clip(0, 255).astype(np.uint8))


def sent(photo: object, *, shrink: bool = True) -> bytes:
    return to_bytes(photo, shrink=shrink, download=lambda url: url.encode())  # type: ignore[arg-type]


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def difference(one: Image.Image, other: Image.Image) -> float:
    small = [np.asarray(i.convert("RGB").resize((16, 16))).astype(int) for i in (one, other)]
    return float(np.abs(small[0] - small[1]).mean())


def test_a_large_photo_shrinks_and_a_small_one_stays(large: Image.Image, encode: Encode) -> None:
    data = encode(large, quality=95)
    shrunk = opened(sent(data))
    assert shrunk.size == (round(SHORTER_SIDE * 4 / 3), SHORTER_SIDE)
    assert len(sent(data)) < len(data) / 2
    assert difference(shrunk, large) < 2
    assert sent(data, shrink=False) == data
    small = encode(large.resize((600, 450)), quality=95)
    assert sent(small) == small


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(large: Image.Image, encode: Encode, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encode(large, quality=95, exif=exif)
    upright = ImageOps.exif_transpose(opened(data))
    shrunk = opened(sent(data))
    assert shrunk.getexif().get(ORIENTATION, 1) == 1
    assert difference(shrunk, upright) < 2


def test_what_the_photo_says_beside_the_picture_stays_at_home(
    large: Image.Image, encode: Encode
) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"  # where it was taken
    exif[0x010F] = "Camera"
    shrunk = opened(sent(encode(large, quality=95, exif=exif, icc_profile=b"a profile")))
    assert not dict(shrunk.getexif())
    assert shrunk.info["icc_profile"] == b"a profile"


def test_transparency_is_kept(large: Image.Image, encode: Encode) -> None:
    clear = large.copy()
    clear.putalpha(Image.linear_gradient("L").resize(large.size))
    shrunk = opened(sent(encode(clear, "PNG")))
    assert min(shrunk.size) == SHORTER_SIDE
    assert shrunk.mode == "RGBA"
    assert shrunk.getextrema()[3][1] - shrunk.getextrema()[3][0] > 240


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "LA", "PA"])
def test_modes_that_are_made_smaller(large: Image.Image, encode: Encode, mode: str) -> None:
    data = encode(large.convert(mode), "TIFF" if mode == "PA" else "PNG")
    assert min(opened(sent(data)).size) == SHORTER_SIDE


def test_what_pillow_should_not_touch_goes_as_it_is(large: Image.Image, encode: Encode) -> None:
    whole = encode(large, quality=95)
    files = [encode(large.convert("CMYK"), quality=95), whole[: len(whole) // 2], bytes(100_000)]
    files.append(encode(large.convert("I;16"), "PNG"))
    assert [sent(data) for data in files] == files


@pytest.mark.filterwarnings("error")
def test_what_takes_long_to_decode_goes_as_it_is(encode: Encode) -> None:
    huge = encode(Image.new("L", (14_000, 7_000)), "PNG")
    assert sent(huge) == huge
    photo = Image.new("L", (14_000, 7_000))
    assert opened(sent(encode(photo, "JPEG"))).size == (2 * SHORTER_SIDE, SHORTER_SIDE)


def test_without_pillow_files_go_as_they_are(
    large: Image.Image, encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(large, quality=95)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert sent(data) == data
    with pytest.raises(TypeError, match="need Pillow"):
        sent(np.zeros((8, 8, 3), np.uint8))


def test_pictures_in_memory(large: Image.Image, picture: Image.Image) -> None:
    for photo in (large, np.asarray(large)):
        assert min(opened(sent(photo)).size) == SHORTER_SIDE
    for photo in (large, picture, np.asarray(picture)):
        whole = opened(sent(photo, shrink=False))
        assert whole.format == "PNG"
        assert np.array_equal(np.asarray(whole), np.asarray(photo))
    assert opened(sent(np.zeros((8, 8), np.uint8))).mode == "L"


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        (7, "a photo is a path"),
        (np.zeros((8, 8, 3)), "uint8"),
        (np.zeros((8, 8, 7), np.uint8), "data type"),
    ],
    ids=["number", "floats", "channels"],
)
def test_what_is_no_photo(photo: object, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        sent(photo)


def test_a_text_file_is_no_binary_file(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("text")
    with (tmp_path / "photo.jpg").open() as file, pytest.raises(TypeError, match="binary mode"):
        sent(file)


def test_photos_from_elsewhere(downloads: Downloads, jpeg: bytes) -> None:
    (downloads.folder / "photo.jpg").write_bytes(jpeg)
    seen: list[tuple[bytes, Mapping[str, str]]] = []

    def respond(path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        seen.append((body, headers))
        return digest(path, body, headers)

    with (
        FaultyServer(respond, share=0).running() as server,
        HashtagClient(server.url, "t", retries=1) as client,
    ):
        client.recommend(downloads.url("photo.jpg"))
        assert [body for body, _ in seen] == [jpeg]
        for path, reason in [("nowhere.jpg", "404"), ("cut/photo.jpg", "ProtocolError")]:
            with pytest.raises(PhotoDownloadError, match=reason):
                client.recommend(downloads.url(path))
    assert downloads.asked == ["/photo.jpg", "/nowhere.jpg", "/cut/photo.jpg", "/cut/photo.jpg"]


def test_options_travel_as_headers_or_where_those_cannot_as_a_form(jpeg: bytes) -> None:
    seen: list[tuple[bytes, Mapping[str, str]]] = []

    def respond(path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        seen.append((body, headers))
        return digest(path, body, headers)

    with (
        FaultyServer(respond, share=0).running() as server,
        HashtagClient(server.url) as client,
    ):
        client.recommend(jpeg, k=3, threshold=0.2, exclude=["#ad", "cat*"], include="dog,puppy")
        client.recommend(jpeg, exclude="犬")
    body, headers = seen[0]
    assert body == jpeg
    options = [headers.get(f"X-{name}") for name in ("Top-K", "Threshold", "Exclude", "Include")]
    assert options == ["3", "0.2", "#ad,cat*", "dog,puppy"]
    body, headers = seen[1]
    assert headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert jpeg in body
    assert "犬".encode() in body
    assert "X-Exclude" not in headers
