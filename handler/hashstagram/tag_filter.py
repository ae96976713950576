"""TagFilter: the tags that a caller wants to see, or never wants to see."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache


@dataclass(frozen=True)
class TagFilter:
    """Patterns of tags: names in any case, with `*` for any letters and `?` for any one.

    Args:
        exclude: a tag that fits one of these is never answered.
        include: where there are some, a tag must fit one of these.
    """

    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to filter."""
        return bool(self.exclude or self.include)

    def allowed(self, tags: Sequence[str]) -> list[int]:
        """The positions of the tags that pass."""
        return [index for index, tag in enumerate(tags) if self._allows(tag.casefold())]

    def _allows(self, tag: str) -> bool:
        if self.exclude and _expression(self.exclude).match(tag):
            return False
        return not self.include or bool(_expression(self.include).match(tag))


NO_FILTER = TagFilter()


@lru_cache(maxsize=64)  # callers send the same list with each photo
def _expression(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all patterns; fnmatch's translation does not backtrack from a `*`."""
    literal = [pattern.casefold().replace("[", "[[]") for pattern in patterns]
    return re.compile("|".join(translate(pattern) for pattern in literal))
