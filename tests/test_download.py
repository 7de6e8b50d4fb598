"""Downloads: whatever breaks off, the bytes that arrive are the server's, or there is an error."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from linnet.errors import CorpusError, LinnetError
from linnet.sources.download import Archive, contents_sha256, download, ensure, fetch


class Server:
    """Serves one file on the loopback interface, as badly as it is told to."""

    def __init__(self) -> None:
        self.content = b""
        self.break_after: list[int] = []  # bytes of each of the next answers
        self.ranges = True
        self.status = 200
        self.asked: list[str | None] = []
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/corpus.tar.gz"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        if self.status != 200:
            request.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.end_headers()
            return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        if start:
            whole = len(self.content)
            request.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        request.end_headers()
        request.wfile.write(body[: self.break_after.pop(0)] if self.break_after else body)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


# Random bytes, so that the archive is not small.
FILES = {f"corpus/yes/{i}.wav": np.random.default_rng(i).bytes(30000) for i in range(8)}


def archive(server: Server, sha256: str | None = None, contents: str | None = None) -> Archive:
    return Archive(server.url, sha256, "corpus", contents)


def unpacked(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {f"corpus/{path.relative_to(root).as_posix()}": path.read_bytes() for path in files}


def test_a_download_that_breaks_off_halfway_is_resumed_and_unpacked(
    server: Server, tmp_path: Path
) -> None:
    server.content = packed(FILES)
    half = len(server.content) // 2
    server.break_after = [half, half // 2]
    fetch(archive(server, hashlib.sha256(server.content).hexdigest()), tmp_path / "root")
    assert unpacked(tmp_path / "root") == FILES
    assert server.asked == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.content = packed(FILES)
    server.break_after = [1000, *[0] * 5]
    part = tmp_path / "part"
    with pytest.raises(LinnetError, match=r"1000 bytes are kept in .*part: run it again"):
        download(server.url, part)
    server.asked.clear()
    download(server.url, part)
    assert part.read_bytes() == server.content
    assert server.asked == ["bytes=1000-"]


def test_a_server_that_ignores_the_range_is_read_from_the_start(
    server: Server, tmp_path: Path
) -> None:
    server.content, server.ranges, server.break_after = packed(FILES), False, [3000]
    download(server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == server.content
    assert server.asked == [None, "bytes=3000-"]


def test_a_complete_part_is_not_fetched_again_and_a_strange_one_is(
    server: Server, tmp_path: Path
) -> None:
    server.content = packed(FILES)
    part = tmp_path / "part"
    part.write_bytes(server.content)
    download(server.url, part)
    assert len(server.asked) == 1
    part.write_bytes(server.content + b"more")
    download(server.url, part)
    assert part.read_bytes() == server.content


def test_a_wrong_checksum_removes_the_download(server: Server, tmp_path: Path) -> None:
    server.content = packed(FILES)
    for wrong in (archive(server, "0" * 64), archive(server, None, "0" * 64)):
        with pytest.raises(LinnetError, match=r"the checksum is \w{64}, expected 0{64}"):
            fetch(wrong, tmp_path / "root")
        assert list(tmp_path.iterdir()) == []


def test_the_contents_have_a_checksum_of_their_own(server: Server, tmp_path: Path) -> None:
    server.content = packed(FILES)
    fetch(archive(server), tmp_path / "root")
    contents = contents_sha256(tmp_path / "root")
    server.content = packed(dict(reversed(FILES.items())))  # packed anew
    fetch(archive(server, None, contents), tmp_path / "again")
    assert unpacked(tmp_path / "again") == FILES


def test_a_missing_address_is_named(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(LinnetError, match=f"{server.url}: 404 Not Found; the address has changed"):
        fetch(archive(server), tmp_path / "root")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../outside.txt", "../../outside.txt", "corpus/../../o.txt"])
def test_an_archive_cannot_write_outside_its_folder(
    server: Server, tmp_path: Path, name: str
) -> None:
    server.content = packed({"corpus/a.wav": b"a", name: b"gotcha"})
    with pytest.raises(LinnetError, match="not safe to unpack"):
        fetch(archive(server), tmp_path / "inside" / "root")
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".txt"]
    assert not (tmp_path / "inside" / "root").exists()


def test_an_absolute_name_in_an_archive_lands_inside(server: Server, tmp_path: Path) -> None:
    server.content = packed({"corpus/a.wav": b"a", f"{tmp_path}/outside.txt": b"gotcha"})
    fetch(archive(server), tmp_path / "inside" / "root")
    assert unpacked(tmp_path / "inside") == {"corpus/root/a.wav": b"a"}
    assert not (tmp_path / "outside.txt").exists()


def test_what_is_no_archive_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.content = b"<html>please log in</html>"
    with pytest.raises(LinnetError, match="no tar archive"):
        fetch(archive(server), tmp_path / "root")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_corpus_is_fetched_only_when_told(server: Server, tmp_path: Path) -> None:
    server.content = packed(FILES)
    root = tmp_path / "data" / "root"
    with pytest.raises(CorpusError, match=f"Digits is not in {root}; .*data.download=true"):
        ensure(archive(server), root, allowed=False, name="Digits")
    assert server.asked == []
    for _ in range(2):
        ensure(archive(server), root, allowed=True, name="Digits")
    assert len(server.asked) == 1
