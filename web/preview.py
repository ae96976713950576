"""Preview: a photo that the browser cannot show, such as HEIC, as a JPEG that it can."""

from io import BytesIO
from threading import Semaphore

from hashstagram.decode import decode_image

SIDE = 1080  # pixels of the shorter side at most
QUALITY = 85
_decoding = Semaphore(2)  # each may take 140 MB


def to_jpeg(photo: bytes) -> bytes:
    """The upright photo, made smaller and without its metadata.

    Raises:
        UnsupportedImageError, ImageTooLargeError, InvalidImageError: see decode_image.
    """
    with _decoding:
        image = decode_image(photo, min_side=SIDE)
        image.thumbnail((2 * SIDE, 2 * SIDE))
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
