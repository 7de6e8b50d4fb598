"""A small corpus that espeak-ng speaks, for tests that train from the command line."""

from pathlib import Path

WORDS = ("left", "happy", "zero")


def settings(root: Path) -> list[str]:
    """The overrides that name it: 60 clips to train on, 12 to validate, 18 to test."""
    return [
        "data=synthetic",
        f"data.root={root}",
        f"data.words=[{','.join(WORDS)}]",
        "data.voices=[f2,f5,m1,m3,klatt,Andy,Annie,max]",
        "data.clips_per_word={train:20,valid:4,test:6}",
    ]
