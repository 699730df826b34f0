"""How many examples a property tries: the same in every run, or MRC_FUZZ times as many, new ones each time."""

import os

FUZZ = int(os.environ.get("MRC_FUZZ", "0"))


def examples(usual: int) -> int:
    """What a test tries that is slower, or finds less, than most."""
    return usual * max(FUZZ, 1)
