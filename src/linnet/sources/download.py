"""Fetch an official corpus once: resume what broke off, verify, unpack beside, rename.

    URL -> <root>.archive.part (resumed by HTTP Range) -> checksum -> <root>.unpacking -> <root>

The folder appears under its name only when everything is there, so an interrupted download can be
repeated at any point. lhotse's ``resumable_download`` does not fit: it takes a connection that
closes early for the end of the file, and appends a whole file to a part of it when the server
ignores the range.
"""

import contextlib
import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from linnet.errors import CorpusError, LinnetError
from linnet.sources.base import progress

_CHUNK = 1 << 18  # bytes
_TIMEOUT_S = 30.0
_ATTEMPTS = 5  # connections in a row that bring nothing new
_PARTIAL = 206
_NOT_FOUND = 404
_OUT_OF_RANGE = 416


@dataclass(frozen=True)
class Archive:
    """An official tar archive.

    Attributes:
        url: where it is.
        sha256: its checksum; None if its host packs it anew at times.
        inside: the folder in it that becomes the root of the corpus.
        contents_sha256: the checksum over the recordings, see :func:`contents_sha256`.
    """

    url: str
    sha256: str | None
    inside: str
    contents_sha256: str | None


def ensure(archive: Archive, root: Path, *, allowed: bool, name: str) -> None:
    """Make sure that the folder ``root`` exists, fetching it if that is allowed.

    Raises:
        CorpusError: it does not exist and may not be fetched.
        LinnetError: fetching it failed.
    """
    if root.is_dir():
        return
    if not allowed:
        raise CorpusError(
            f"{name} is not in {root.absolute()}; set data.root to its folder, or "
            f"data.download=true to fetch it from {archive.url}"
        )
    fetch(archive, root)


def fetch(archive: Archive, root: Path) -> None:
    """Download an archive, verify it and unpack it as the folder ``root``.

    Raises:
        LinnetError: the download failed, or what came is not what was expected.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    part = root.with_name(root.name + ".archive.part")
    download(archive.url, part)
    if archive.sha256 is not None:
        _verify(archive.url, _sha256(part), archive.sha256, part)
    unpacking = root.with_name(root.name + ".unpacking")
    shutil.rmtree(unpacking, ignore_errors=True)
    try:
        _unpack(part, unpacking)
        inside = unpacking / archive.inside
        if not inside.is_dir():
            raise LinnetError(f"{archive.url} holds no folder {archive.inside!r}")
        if archive.contents_sha256 is not None:
            _verify(archive.url, contents_sha256(inside), archive.contents_sha256, part)
        inside.rename(root)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)
    part.unlink()


def download(url: str, part: Path) -> None:
    """Download ``url`` into ``part``, going on where an earlier attempt broke off.

    Raises:
        LinnetError: the server refuses, or the connection fails again and again; what came is kept.
    """
    if not url.startswith(("http://", "https://")):
        raise CorpusError(f"expected a URL that starts with http:// or https://, got {url}")
    idle = 0
    while True:
        before = _size(part)
        try:
            if _transfer(url, part):
                return
            reason = "the connection closed before the end"
        except urllib.error.HTTPError as error:
            error.close()
            hint = "the address has changed" if error.code == _NOT_FOUND else "try again later"
            raise LinnetError(f"{url}: {error.code} {error.reason}; {hint}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(error)
        idle = 0 if _size(part) > before else idle + 1
        if idle == _ATTEMPTS:
            raise LinnetError(
                f"{url}: {reason}; {_size(part)} bytes are kept in {part}: run it again to go on"
            )


def _transfer(url: str, part: Path) -> bool:
    """Fetch what is missing over one connection; tell whether that was all."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "linnet"})  # noqa: S310
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != _OUT_OF_RANGE:
            raise
        error.close()
        # Nothing lies beyond what is here: either that is all, or it is not this file.
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return True
        part.unlink(missing_ok=True)
        return False
    with response:
        resumed = response.status == _PARTIAL and _starts_at(response, have)
        length = response.headers.get("Content-Length")
        total = None if length is None else int(length) + (have if resumed else 0)
        # A server that ignores the range sends everything: then begin anew.
        with part.open("ab" if resumed else "wb") as file:
            _copy(response, file, Path(url).name, have if resumed else 0, total)
    return total is None or _size(part) == total


def _starts_at(response: http.client.HTTPResponse, have: int) -> bool:
    return (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-")


def _copy(
    response: http.client.HTTPResponse, file: BinaryIO, name: str, have: int, total: int | None
) -> None:
    with progress(name, total, in_bytes=True) as advance:
        advance(have)
        # What came before the connection broke is worth keeping.
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                advance(len(chunk))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _verify(url: str, got: str, expected: str, part: Path) -> None:
    """Refuse and remove a download with a wrong checksum; resuming it could never mend it."""
    if got != expected:
        part.unlink()
        raise LinnetError(
            f"{url}: the checksum is {got}, expected {expected}; the download is damaged or has "
            "been changed and was removed: run it again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents_sha256(root: str | os.PathLike[str]) -> str:
    """Give a checksum over all recordings (``.wav``) in and below a folder, names included."""
    digest = hashlib.sha256()
    for path in sorted(Path(root).rglob("*.wav")):
        digest.update(f"{_sha256(path)}  {path.relative_to(root).as_posix()}\n".encode())
    return digest.hexdigest()


def _unpack(archive: Path, target: Path) -> None:
    """Unpack a tar archive; nothing in it may point out of ``target``."""
    try:
        with tarfile.open(archive) as tar, progress("unpacking", None) as advance:
            for member in tar:
                tar.extract(member, target, filter="data")
                advance()
    except tarfile.FilterError as error:
        raise LinnetError(f"{archive}: the archive is not safe to unpack: {error}") from error
    except (tarfile.TarError, EOFError) as error:
        archive.unlink()
        raise LinnetError(
            f"{archive}: this is no tar archive ({error}); it was removed: run it again"
        ) from error
