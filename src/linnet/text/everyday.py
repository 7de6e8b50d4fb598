"""Words of everyday English, for whatever asks what else is said."""

from importlib import resources


def everyday_words() -> list[str]:
    """Give the words of everyday English sentences, the most frequent first."""
    return resources.files(__package__).joinpath("words.txt").read_text("utf-8").split()
