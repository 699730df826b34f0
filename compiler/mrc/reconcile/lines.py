"""Text from anywhere as a line of a record, a message or a log."""

LONGEST = 1000  # characters; a record takes 1024


def line(text: object, longest: int = LONGEST) -> str:
    """One line of printable text: nothing that could begin a line of its own."""
    shown = "".join(char if char.isprintable() else " " for char in str(text))
    shown = " ".join(shown.split())
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."
