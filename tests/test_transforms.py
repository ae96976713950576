import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from hashstagram.errors import ImageTooLargeError, InvalidImageError, UnsupportedImageError
from hashstagram.transforms import TransformConfig, crop_box, decode_image, eval_transform

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
    [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n", b"\xff\xd8\xff"],
    ids=["empty", "text", "svg", "pdf", "jpeg-magic-only"],
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
    with pytest.raises(ImageTooLargeError, match="50 megapixels"):
        decode_image(png + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))


def test_a_scaled_decode_looks_like_the_full_one(encode: Encode, picture: Image.Image) -> None:
    large = encode(picture.resize((2560, 1920), Image.Resampling.BICUBIC), quality=92)
    config = TransformConfig()
    scaled, full = decode_image(large, min_side=256), decode_image(large)
    assert min(scaled.size) < min(full.size)
    one, other = eval_transform(scaled, config), eval_transform(full, config)
    assert (one - other).abs().mean() < 0.03  # of a standard deviation


@pytest.mark.parametrize("size", [(320, 240), (240, 320), (300, 300)], ids=str)
def test_the_centre_crop_is_torchvisions(picture: Image.Image, size: tuple[int, int]) -> None:
    image = picture.resize(size)
    config = TransformConfig(input_size=112, crop_pct=0.875)
    reference = v2.Compose(
        [
            v2.Resize(128, interpolation=v2.InterpolationMode.BILINEAR, antialias=True),
            v2.CenterCrop(112),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(config.mean, config.std),
        ]
    )(image)
    ours = eval_transform(image, config)
    assert ours.shape == reference.shape
    assert (ours - reference).abs().mean() < 0.03


def test_squash_keeps_the_whole_photo() -> None:
    config = TransformConfig(crop_mode="squash", crop_pct=1.0)
    assert crop_box(400, 300, config) == (0, 0, 400, 300)
    assert crop_box(400, 300, TransformConfig(crop_pct=1.0)) == (50, 0, 350, 300)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)], ids=str)
@pytest.mark.parametrize("crop_mode", ["center", "squash"])
def test_odd_shapes_work(encode: Encode, size: tuple[int, int], crop_mode: str) -> None:
    config = TransformConfig(input_size=64, crop_mode=crop_mode)
    image = decode_image(encode(Image.new("RGB", size, "teal")), min_side=64)
    assert eval_transform(image, config).shape == (3, 64, 64)


@pytest.mark.parametrize(
    "fields", [{"crop_mode": "zoom"}, {"interpolation": "best"}, {"crop_pct": 0.0}], ids=str
)
def test_an_impossible_config_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="crop"):
        TransformConfig(**fields)
