import weakref

from hashstagram.errors import InvalidImageError, PredictionError
from hashtag_handler import _attempt


class Pixels:
    """Something large that a weak reference can watch."""


def test_an_error_does_not_keep_its_photo_in_memory() -> None:
    seen: list[weakref.ref[Pixels]] = []

    def decode() -> None:
        pixels = Pixels()
        seen.append(weakref.ref(pixels))
        try:
            raise OSError("broken")
        except OSError as err:
            raise InvalidImageError("Send another one.") from err

    error = _attempt(decode)
    assert isinstance(error, InvalidImageError)
    assert seen[0]() is None


def test_whatever_goes_wrong_becomes_an_answer() -> None:
    def exhausted() -> None:
        raise MemoryError("0x7f00")

    error = _attempt(exhausted)
    assert isinstance(error, PredictionError)
    assert error.body()["code"] == 500
    assert "0x" not in str(error)
