import struct
from collections.abc import Callable

import pytest
from PIL import Image

from benchmarks.hostile_files import Sample, scan_bomb
from hashstagram.decode import decode_image
from hashstagram.errors import HashstagramError, InvalidImageError
from hashstagram.screening import TOO_COMPLEX, decodes_in_one_scan

Encode = Callable[..., bytes]


@pytest.mark.parametrize(
    "between", [b"", b"\xff\xfe\x00\x04\xff\xd9"], ids=["plain", "behind-a-false-end"]
)
def test_a_scan_bomb_is_refused_before_it_is_decoded(between: bytes) -> None:
    with pytest.raises(InvalidImageError, match=TOO_COMPLEX):
        decode_image(scan_bomb(64, 200, between))


def test_scans_of_thumbnails_and_appended_files_do_not_count(jpeg: bytes) -> None:
    many = b"\xff\xda" * 300
    comment = b"\xff\xfe" + struct.pack(">H", len(many) + 2) + many
    assert decode_image(jpeg[:2] + comment + jpeg[2:] + many)


def test_the_word_exif_in_a_comment_does_not_count(jpeg: bytes) -> None:
    words = b"Exif " * 300
    comment = b"\xff\xfe" + struct.pack(">H", len(words) + 2) + words
    assert decode_image(jpeg[:2] + comment + jpeg[2:])


@pytest.mark.parametrize(
    ("options", "at_once"),
    [({}, True), ({"progressive": True}, False), ({"exif": b"Exif\0\0" + b"x" * 99}, True)],
    ids=str,
)
def test_which_jpegs_keep_their_coefficients(
    picture: Image.Image, encode: Encode, options: dict[str, object], at_once: bool
) -> None:
    assert decodes_in_one_scan(encode(picture, **options)) is at_once


@pytest.mark.filterwarnings("ignore")
def test_no_hostile_file_escapes(hostile_files: list[Sample]) -> None:
    names = [sample.name for sample in hostile_files]
    assert len(names) >= 1000
    assert len(set(names)) == len(names)
    for sample in hostile_files:
        try:  # undefended, the worst of them take minutes, or all memory there is
            decode_image(sample.data, min_side=256)
            outcome = "200"
        except HashstagramError as err:
            outcome = f"{err.status // 100}xx"
        assert sample.expected in (outcome, "any"), sample.name
