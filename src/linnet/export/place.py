"""The place of a model folder: what stands there is whole, or is not touched.

what stands there -> may it be replaced? -> a draft beside it -> renamed into its place
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linnet.errors import ConfigError, LinnetError
from linnet.runtime import DESCRIPTION, FORMAT

CARD = "README.md"


def identity(path: Path) -> dict[str, object]:
    """Give size and hash of a file."""
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def files_of(folder: Path) -> dict[str, Path]:
    """Give every file of a folder by its name, which has slashes where it stands deeper."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path for path in paths}


def check(output: Path) -> None:
    """Refuse to replace anything that no export wrote."""
    if not output.exists():
        return
    if not output.is_dir():
        raise ConfigError(f"output={output} is a file; give a folder")
    present = set(files_of(output))
    if not present:
        return
    try:
        described = json.loads((output / DESCRIPTION).read_text(encoding="utf-8"))
        ours = {DESCRIPTION, CARD, *described["files"]} if described["format"] == FORMAT else set()
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    if foreign := sorted(present - ours):
        raise ConfigError(
            f"output={output} holds {foreign[0]!r}, which no export wrote; give a new folder, or "
            "move that away"
        )


@contextmanager
def beside(output: Path) -> Iterator[Path]:
    """Give a folder beside ``output`` that takes its place if all goes well."""
    draft = output.with_name(f".{output.name}.unfinished-{os.getpid()}")
    old = output.with_name(f".{output.name}.replaced-{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        yield draft
        if output.exists():
            output.rename(old)
        try:
            draft.rename(output)
        except OSError:
            if old.exists():
                old.rename(output)
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise LinnetError(f"{output}: the model folder cannot be written: {reason}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if output.exists():
            shutil.rmtree(old, ignore_errors=True)
