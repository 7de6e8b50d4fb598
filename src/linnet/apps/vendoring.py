"""The browser's runtime: onnxruntime-web, fetched once, pinned, and checked before it is used.

    npm pack, or a tarball at hand -> sha512 against the pin -> three files -> a folder, at once

The page needs 14 MB that Linnet neither wrote nor ships. npm is only asked to fetch, from wherever
it is set to fetch from; what it brings is compared with the pinned digest, unpacked by name, and
nothing of it is run.
"""

import base64
import hashlib
import importlib.resources
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import IO, cast

from linnet.errors import InputError, LinnetError

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
# The digest that the registry publishes with this version; npm calls it the integrity.
INTEGRITY = (
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF"
    "+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
# Written last, so that its presence says that all of that version is there.
PIN = "pinned.txt"
_FETCH_S = 600.0


def page_folder() -> Path:
    """Give the folder of the page: in the wheel, or beside the sources."""
    packed = _packed_page()
    return packed if packed.is_dir() else packed.parents[2] / "web"


def runtime_folder() -> Path:
    """Give the folder of the runtime: beside the page, or for a wheel in the user's cache."""
    if not _packed_page().is_dir():
        return page_folder() / "vendor"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "linnet" / f"{PACKAGE}-{VERSION}"


def is_there(folder: Path) -> bool:
    """Tell whether ``folder`` holds the runtime, all of it and of the pinned version."""
    pin = folder / PIN
    return (
        pin.is_file() and pin.read_text() == _pin() and all((folder / f).is_file() for f in FILES)
    )


def vendor(folder: Path, tarball: Path | None = None) -> None:
    """Put the runtime into ``folder``, in the place of what may be there.

    Args:
        folder: to be made.
        tarball: the package as a file; npm fetches it if None.

    Raises:
        InputError: npm or the tarball is missing, or its content is not what is pinned.
        LinnetError: npm cannot fetch it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source = tarball or _fetched(Path(scratch))
        try:
            content = source.read_bytes()
        except OSError as error:
            raise InputError(f"{source}: the file cannot be read: {error.strerror}") from error
        digest = integrity(content)
        if digest != INTEGRITY:
            raise InputError(
                f"{source.name}: this is not {PACKAGE} {VERSION} as it was published: expected "
                f"{INTEGRITY[:19]}..., it has {digest[:19]}...; fetch it again"
            )
        _unpack(content, folder)


def integrity(content: bytes) -> str:
    """Give the digest of a package as npm writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def _packed_page() -> Path:
    """Give where a wheel keeps the page."""
    return Path(str(importlib.resources.files("linnet"))) / "web"


def _fetched(scratch: Path) -> Path:
    """Let npm fetch the package, as a file."""
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            f"npm, which fetches {PACKAGE} for the browser, is not installed; install Node.js, or "
            f"get {PACKAGE}-{VERSION}.tgz elsewhere and name that file"
        )
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, cwd=scratch, capture_output=True, text=True, timeout=_FETCH_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LinnetError(f"npm did not fetch {PACKAGE} within {_FETCH_S:.0f} s") from error
    found = sorted(scratch.glob("*.tgz"))
    if done.returncode or not found:
        reason = " ".join(done.stderr.split())[-200:] or f"exit status {done.returncode}"
        raise LinnetError(f"npm could not fetch {PACKAGE} {VERSION}: {reason}")
    return found[0]


def _unpack(content: bytes, folder: Path) -> None:
    """Unpack the files that the page loads, beside ``folder``, and move them there at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".vendor") as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for name in FILES:
                # Read by name: whatever else is in there, and wherever it wants to go, stays out.
                with cast("IO[bytes]", archive.extractfile(f"package/dist/{name}")) as member:
                    (made / name).write_bytes(member.read())
        (made / PIN).write_text(_pin())
        if folder.exists():
            folder.rename(Path(scratch) / "old")
        made.rename(folder)


def _pin() -> str:
    return f"{PACKAGE} {VERSION} (MIT licence, Microsoft)\n{INTEGRITY}\n"
