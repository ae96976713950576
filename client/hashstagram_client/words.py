"""The words inside a hashtag, for screen readers: "goldenretriever" to "GoldenRetriever"."""

from functools import cache


def camel_case(tag: str) -> str:
    """Each word with a capital.

    Where one word ends takes a dictionary: the extra ``words``, for English. Without it, and in
    other languages, a tag counts as one word.
    """
    return "".join(word[:1].upper() + word[1:] for word in _words(tag))


@cache
def _words(tag: str) -> tuple[str, ...]:
    try:
        import wordsegment  # reads its word counts in a second: only for who asks
    except ImportError:
        return (tag,)
    if not wordsegment.UNIGRAMS:
        wordsegment.load()
    words = tuple(wordsegment.segment(tag))
    return words if "".join(words) == tag else (tag,)  # it drops what is not a to z
