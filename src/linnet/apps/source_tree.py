"""The source tree that Linnet runs from, where it is a checkout."""

import subprocess
from pathlib import Path


def git(*arguments: str) -> str | None:
    """Give git's answer about this source tree, None if it is no checkout."""
    try:
        answer = subprocess.run(  # noqa: S603 - questions that Linnet's own code asks
            ["git", *arguments],  # noqa: S607 - git is found on the user's path
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
