"""``linnet demo``: what is served, to whom, and what is said where something is missing."""

import http.client
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from linnet import apps
from linnet.apps import vendoring
from linnet.apps.serving import ADDRESS, Server
from linnet.errors import InputError, LinnetError
from small_model import exported

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runtime") / "vendor"
    folder.mkdir()
    for name in vendoring.FILES:
        (folder / name).write_bytes(b"// what runs models")
    return folder


@pytest.fixture(scope="module")
def server(model: Path, runtime: Path) -> Iterator[Server]:
    folders = {"": vendoring.page_folder(), "vendor": runtime, "model": model}
    with Server(folders, port=0) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(
    server: Server, path: str, method: str = "GET", host: str | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(ADDRESS, server.server_port, timeout=10)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


@pytest.mark.parametrize(
    ("path", "file", "kind"),
    [
        ("/", "PAGE/index.html", "text/html; charset=utf-8"),
        ("/index.html?again#top", "PAGE/index.html", "text/html; charset=utf-8"),
        ("/style.css", "PAGE/style.css", "text/css; charset=utf-8"),
        ("/linnet/page.js", "PAGE/linnet/page.js", "text/javascript; charset=utf-8"),
        ("/linnet.svg", "PAGE/linnet.svg", "image/svg+xml"),
        ("/vendor/ort.wasm.min.mjs", "RUNTIME/ort.wasm.min.mjs", "text/javascript; charset=utf-8"),
        (
            "/vendor/ort-wasm-simd-threaded.wasm",
            "RUNTIME/ort-wasm-simd-threaded.wasm",
            "application/wasm",
        ),
        ("/model/model.json", "MODEL/model.json", "application/json"),
        ("/model/model.onnx", "MODEL/model.onnx", "application/octet-stream"),
    ],
)
def test_a_file_is_served_as_it_is_with_the_headers_it_needs(
    server: Server, model: Path, runtime: Path, path: str, file: str, kind: str
) -> None:
    root, _, name = file.partition("/")
    folder = {"PAGE": vendoring.page_folder(), "RUNTIME": runtime, "MODEL": model}[root]
    answer, content = ask(server, path)
    assert answer.status == 200
    assert content == (folder / name).read_bytes()
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    head, nothing = ask(server, path, "HEAD")
    assert (head.status, nothing) == (200, b"")
    assert head.headers["Content-Length"] == str(len(content))


@pytest.mark.parametrize(
    "path",
    [
        *("/nothing", "/linnet/", "/model", "/model/", "/vendor/", "/modelx/model.json"),
        *("/../pyproject.toml", "/model/../../pyproject.toml", "/%2e%2e/pyproject.toml"),
        *("/model/%2e%2e%2fpyproject.toml", "/..%5cpyproject.toml", "/model//etc/passwd"),
        *("/model/%00", "//etc/passwd", "/package.json/.."),
    ],
)
def test_nothing_else_is_served(server: Server, path: str) -> None:
    answer, content = ask(server, path)
    # A path that leads back to the page itself is the page.
    index = (vendoring.page_folder() / "index.html").read_bytes()
    assert answer.status == 404 or (path.endswith("/..") and content == index)


def test_only_those_who_call_it_by_its_address_are_answered(server: Server) -> None:
    port = server.server_port
    for host in (f"{ADDRESS}:{port}", f"localhost:{port}", "localhost"):
        assert ask(server, "/", host=host)[0].status == 200
    for host in (f"evil.example:{port}", "127.0.0.1.evil.example", "", f"[::1]:{port}"):
        assert ask(server, "/model/model.json", host=host)[0].status == 403
    assert ask(server, "/", "POST")[0].status == 501


def test_a_model_exported_again_is_shown_at_once(server: Server, model: Path) -> None:
    connection = http.client.HTTPConnection(ADDRESS, server.server_port, timeout=10)
    late = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    connection.request("GET", "/model/model.json", headers=late)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, (model / "model.json").read_bytes())
    connection.close()


def demo(*arguments: object) -> int:
    return apps.main(["demo", *map(str, arguments)])


def test_a_missing_runtime_is_one_line_that_says_what_to_run(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vendoring, "runtime_folder", lambda: tmp_path / "vendor")
    assert demo(model, "--no-browser") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "onnxruntime-web" in error
    assert error.endswith("fetch it once (14 MB, through npm): scripts/vendor-web\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere"], "nowhere: there is no such model"),
        (["MODEL/model.onnx"], "the page reads a whole model folder"),
        ([], "the following arguments are required: DIR"),
        (["MODEL", "--port", "70000"], "'70000' is no port"),
        (["--fetch-runtime", "nowhere.tgz"], "nowhere.tgz: the file cannot be read"),
    ],
)
def test_a_wrong_call_is_told_so(
    model: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo(*(one.replace("MODEL", str(model)) for one in arguments)) == 2
    assert text in capsys.readouterr().err


def test_a_port_in_use_is_told_so(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(vendoring, "is_there", lambda _: True)
    with socket.create_server((ADDRESS, 0)) as taken:
        port = taken.getsockname()[1]
        assert demo(model, "--no-browser", "--port", port) == 2
    assert f"port {port} cannot be listened on" in capsys.readouterr().err


def tarball(folder: Path, *names: str) -> Path:
    """Make a package with some of the files."""
    (folder / "dist").mkdir()
    for name in names:
        (folder / "dist" / name).write_text(name)
    with tarfile.open(folder / "made.tgz", "w:gz") as archive:
        archive.add(folder / "dist", "package/dist")
        archive.addfile(tarfile.TarInfo("../outside.txt"))
    return folder / "made.tgz"


def test_the_runtime_is_unpacked_if_it_is_the_pinned_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tarball(tmp_path, *vendoring.FILES, "other.js")
    target = tmp_path / "web" / "vendor"
    with pytest.raises(InputError, match=r"made\.tgz: this is not onnxruntime-web .* published"):
        vendoring.vendor(target, made)
    assert not target.exists()
    monkeypatch.setattr(vendoring, "INTEGRITY", vendoring.integrity(made.read_bytes()))
    target.mkdir(parents=True)
    (target / "old.wasm").write_text("of another version")
    assert not vendoring.is_there(target)
    vendoring.vendor(target, made)
    assert vendoring.is_there(target)
    found = sorted(path.name for path in target.iterdir())
    assert found == sorted([*vendoring.FILES, vendoring.PIN])
    assert sorted(path.name for path in target.parent.iterdir()) == ["vendor"]
    assert not (tmp_path / "outside.txt").exists()
    (target / vendoring.FILES[0]).unlink()
    assert not vendoring.is_there(target)


def test_npm_fetches_the_pinned_package_and_its_failure_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tarball(tmp_path, *vendoring.FILES)
    monkeypatch.setattr(vendoring, "INTEGRITY", vendoring.integrity(made.read_bytes()))
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    npm.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/asked\ncp {made} fetched.tgz\n')
    npm.chmod(0o755)
    vendoring.vendor(tmp_path / "vendor")
    assert vendoring.is_there(tmp_path / "vendor")
    package = f"{vendoring.PACKAGE}@{vendoring.VERSION}"
    assert (tmp_path / "asked").read_text() == f"pack {package} --silent --ignore-scripts\n"
    npm.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    with pytest.raises(LinnetError, match=r"npm could not fetch .*: no network"):
        vendoring.vendor(tmp_path / "other")
    npm.unlink()
    if shutil.which("npm") is None:
        with pytest.raises(InputError, match=r"npm, which fetches .* is not installed"):
            vendoring.vendor(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_page_names_no_other_host_and_the_wheel_holds_it_without_the_runtime(
    tmp_path: Path,
) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("linnet-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            name.removeprefix("linnet/web/"): archive.read(name)
            for name in archive.namelist()
            if name.startswith("linnet/web/")
        }
    listed = subprocess.run(
        ["git", "ls-files", "web"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    ours = {name.removeprefix("web/") for name in listed} - {"package.json"}
    assert set(packed) == ours
    assert "linnet/page.js" in ours
    for name, content in packed.items():
        foreign = content.replace(b"http://www.w3.org/2000/svg", b"").replace(
            b"http://localhost", b""
        )
        assert b"http://" not in foreign, name
        assert b"https://" not in foreign, name
