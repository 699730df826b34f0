"""What was probably meant by a word that nobody knows."""

from collections.abc import Iterable


def closest(word: str, words: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The most similar of the words; none whose similarity, from 0 to 1, is below `cutoff`."""
    from difflib import get_close_matches  # of all runs the few need it that have something to say

    found = get_close_matches(word, list(words), n=1, cutoff=cutoff)
    return found[0] if found else None
