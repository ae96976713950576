import pytest

from hashstagram.tag_filter import TagFilter

TAGS = ("Sunset", "sunrise", "sun", "beach", "[x]", "naïve", "straße")


@pytest.mark.parametrize(
    ("exclude", "include", "left"),
    [
        ((), (), TAGS),
        (("sunset",), (), TAGS[1:]),
        (("SUN*",), (), TAGS[3:]),
        (("*s*",), (), ("beach", "[x]", "naïve")),
        (("sun?*",), (), TAGS[2:]),
        ((), ("sun", "beach"), ("sun", "beach")),
        (("sun",), ("sun*",), TAGS[:2]),
        (("[x]", "be[a]ch"), (), (*TAGS[:4], *TAGS[5:])),
        (("NAÏVE", "STRASSE"), (), TAGS[:5]),
        ((), ("nothing",), ()),
        (("*",), (), ()),
        (("su.set", "b.*"), (), TAGS),
    ],
    ids=repr,
)
def test_patterns(
    exclude: tuple[str, ...], include: tuple[str, ...], left: tuple[str, ...]
) -> None:
    allowed = TagFilter(exclude, include).allowed(TAGS)
    assert tuple(TAGS[index] for index in allowed) == left


def test_no_pattern_runs_away() -> None:
    # With an expression that backtracks this would not end.
    hostile = TagFilter(("*a" * 40 + "b",))
    assert hostile.allowed(["a" * 100] * 100) == list(range(100))
