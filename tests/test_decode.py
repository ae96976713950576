import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from hashstagram.decode import decode_image
from hashstagram.errors import (
    HashstagramError,
    ImageTooLargeError,
    InvalidImageError,
    UnsupportedImageError,
)
from hashstagram.transforms import TransformConfig, eval_transform

Encode = Callable[..., bytes]

# What a camera did to the picture for each EXIF orientation, so that a viewer must undo it.
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference in levels of 255."""
    assert one.size == other.size
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


@pytest.mark.parametrize("orientation", TURNS)
def test_every_orientation_comes_out_upright(
    picture: Image.Image, encode: Encode, orientation: int
) -> None:
    turn = TURNS[orientation]
    taken = picture if turn is None else picture.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode_image(encode(taken, quality=95, exif=exif), min_side=100)
    assert difference(decoded, picture.resize(decoded.size)) < 3


@pytest.mark.parametrize(
    ("fmt", "mode"),
    [(fmt, mode) for fmt in ("TIFF", "PNG") for mode in ("RGB", "L", "P", "1", "LA", "RGBA")]
    + [("TIFF", "CMYK"), ("JPEG", "CMYK"), ("JPEG", "L"), ("WEBP", "RGBA"), ("GIF", "P")],
)
def test_every_mode_becomes_rgb(picture: Image.Image, encode: Encode, fmt: str, mode: str) -> None:
    image = picture.convert(mode)
    decoded = decode_image(encode(image, fmt))
    assert decoded.mode == "RGB"
    assert difference(decoded, image.convert("RGB")) < 12


@pytest.mark.parametrize("fmt", ["TIFF", "PNG"])
def test_sixteen_bits_are_scaled_to_eight(picture: Image.Image, encode: Encode, fmt: str) -> None:
    grey = picture.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert difference(decode_image(encode(deep, fmt)).convert("L"), grey) < 2


def test_transparency_is_white(encode: Encode) -> None:
    data = encode(Image.new("RGBA", (40, 40), (200, 0, 0, 0)), "PNG")
    assert decode_image(data).getpixel((20, 20)) == (255, 255, 255)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_formats_that_people_send(picture: Image.Image, encode: Encode, fmt: str) -> None:
    assert difference(decode_image(encode(picture, fmt)), picture) < 8


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n"],
    ids=["empty", "text", "svg", "pdf"],
)
def test_what_is_no_image_is_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedImageError, match="Send one of JPEG"):
        decode_image(data)


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_truncated_photo_is_refused(jpeg: bytes, tenth: int) -> None:
    with pytest.raises((InvalidImageError, UnsupportedImageError)) as caught:
        decode_image(jpeg[: len(jpeg) * tenth // 10])
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize("side", [9_000, 50_000], ids=["81-megapixels", "2500-megapixels"])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    png = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    with pytest.raises(ImageTooLargeError, match="Send a smaller one"):
        decode_image(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))


def test_a_scaled_decode_looks_like_the_full_one(encode: Encode, picture: Image.Image) -> None:
    large = encode(picture.resize((2560, 1920), Image.Resampling.BICUBIC), quality=92)
    config = TransformConfig()
    scaled, full = decode_image(large, min_side=256), decode_image(large)
    assert min(scaled.size) < min(full.size)
    one, other = eval_transform(scaled, config), eval_transform(full, config)
    assert (one - other).abs().mean() < 0.03  # of a standard deviation


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("crop_mode", ["center", "squash"])
def test_odd_shapes_work(encode: Encode, size: tuple[int, int], crop_mode: str) -> None:
    config = TransformConfig(input_size=64, crop_mode=crop_mode)
    image = decode_image(encode(Image.new("RGB", size, "teal")), min_side=64)
    assert eval_transform(image, config).shape == (3, 64, 64)


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_odd_shapes_work_in_every_format(encode: Encode, size: tuple[int, int], fmt: str) -> None:
    longest = 16_383 if fmt == "WEBP" else 20_000
    picture = Image.new("RGB", (min(size[0], longest), min(size[1], longest)), "teal")
    assert decode_image(encode(picture, fmt), min_side=64).getpixel((0, 0))[2] > 100


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", TURNS)
def test_every_format_comes_out_upright(
    picture: Image.Image, encode: Encode, fmt: str, orientation: int
) -> None:
    turn = TURNS[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    taken = picture if turn is None else picture.transpose(turn)
    assert difference(decode_image(encode(taken, fmt, exif=exif)), picture) < 8


def test_heic_comes_out_upright(picture: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = heic(picture.transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())
    assert difference(decode_image(data), picture) < 8


def heic(picture: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=50, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("thumbnails", "size"),
    [([512], (512, 384)), ([200], None), ([3000], None)],
    ids=["fits", "too-small-for-the-model", "too-large-to-open"],
)
def test_a_large_heic_comes_as_its_thumbnail(
    thumbnails: list[int], size: tuple[int, int] | None
) -> None:
    fast = {"preset": "ultrafast"}
    large = heic(Image.new("RGB", (4400, 3300), "teal"), thumbnails=thumbnails, enc_params=fast)
    if size:
        assert decode_image(large, min_side=256).size == size
        return
    with pytest.raises(ImageTooLargeError, match="15 megapixels"):
        decode_image(large, min_side=256)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_no_reason_to_refuse(picture: Image.Image, encode: Encode) -> None:
    data = encode(picture, exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"x" * 50)
    assert difference(decode_image(data), picture) < 3


def test_a_float_tiff_is_scaled(picture: Image.Image, encode: Encode) -> None:
    grey = picture.convert("L")
    for scale in (1 / 255, 1, 257):
        values = Image.fromarray(np.asarray(grey, np.float32) * np.float32(scale))
        assert difference(decode_image(encode(values, "TIFF")).convert("L"), grey) < 2


def test_a_lab_tiff_has_its_colours(encode: Encode) -> None:
    lab = Image.merge("LAB", [Image.new("L", (20, 20), v) for v in (136, 208, 195)])  # red
    red, green, blue = decode_image(encode(lab, "TIFF")).getpixel((10, 10))
    assert (red > 230, green < 30, blue < 30) == (True, True, True)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "CMYK", "L", "RGB"])
def test_a_large_picture_is_averaged_down_to_the_same(
    picture: Image.Image, encode: Encode, mode: str
) -> None:
    large = picture.resize((3600, 2700)).convert(mode)
    fmt, options = ("TIFF", {"compression": "tiff_lzw"}) if mode == "CMYK" else ("PNG", {})
    data = encode(large, fmt, **options)
    config = TransformConfig(input_size=112)
    small, full = decode_image(data, min_side=128), decode_image(data)
    assert small.size == (360, 270)
    assert full.size == (3600, 2700)
    one, other = eval_transform(small, config), eval_transform(full, config)
    assert (one - other).abs().mean() < 0.03  # of a standard deviation


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_108_megapixel_phone_photo_works(encode: Encode) -> None:
    data = encode(Image.new("L", (12_000, 9_000), 80), quality=30)
    assert decode_image(data, min_side=256).size == (1500, 1125)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_no_damage_escapes(picture: Image.Image, encode: Encode, fmt: str) -> None:
    whole = encode(picture, fmt)
    dice = np.random.default_rng(4)
    for tenth, _ in product(range(11), range(5)):
        damaged = bytearray(whole[: len(whole) * tenth // 10])
        for position in dice.integers(0, max(1, len(damaged)), 4):
            damaged[position : position + 1] = bytes([dice.integers(256)])
        with suppress(HashstagramError):  # anything else fails the test
            decode_image(bytes(damaged), min_side=64)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_truncated_file_of_every_format_is_refused(
    picture: Image.Image, encode: Encode, fmt: str, tenth: int
) -> None:
    whole = encode(picture, fmt)
    with pytest.raises((InvalidImageError, UnsupportedImageError)):
        decode_image(whole[: len(whole) * tenth // 10])


def test_what_begins_like_an_image_is_damaged() -> None:
    with pytest.raises(InvalidImageError, match="truncated"):
        decode_image(b"\xff\xd8\xff")


IN_THREADS = """
import re, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hashstagram.decode import decode_image

def peak():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) * 1024

data = Path(sys.argv[1]).read_bytes()
decode_image(data, min_side=224)
one = peak()
with ThreadPoolExecutor(3) as pool:
    list(pool.map(lambda _: decode_image(data, min_side=224), range(6)))
print(peak() - one)
"""


def test_pictures_that_need_much_memory_wait_for_each_other(encode: Encode, tmp_path: Path) -> None:
    photo = tmp_path / "large.png"
    photo.write_bytes(encode(Image.new("RGB", (6000, 4000), "teal"), "PNG"))
    command = [sys.executable, "-c", IN_THREADS, str(photo)]
    one_arena = os.environ | {"MALLOC_ARENA_MAX": "1"}  # as worker_memory has it
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=one_arena)
    assert int(told.stdout) < 40e6  # one of them needs 96 MB
