"""The ``linnet`` command: verbs by name, errors as a line, the agreed exit statuses."""

import importlib.metadata
import importlib.util
import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

import linnet
from linnet import apps
from linnet.errors import AudioError, ParityError


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[list[str]], int]], None]:
    """Put a function in the place of ``linnet train``."""

    def put(main: Callable[[list[str]], int]) -> None:
        module = types.ModuleType("linnet.apps.train")
        module.main = main  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "linnet.apps.train", module)

    return put


def raising(error: BaseException) -> Callable[[list[str]], int]:
    def main(argv: list[str]) -> int:
        raise error

    return main


def test_help_lists_each_verb_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert apps.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for verb_, line in apps.VERBS.items():
        assert f"  {verb_:10}  {line}\n" in shown
        assert importlib.util.find_spec(f"linnet.apps.{verb_}"), f"{verb_} does not exist"
    assert apps.main(["-h"]) == 0
    assert capsys.readouterr().out == shown
    assert apps.main([]) == 2
    assert capsys.readouterr().err == shown


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert apps.main(["--version"]) == 0
    assert capsys.readouterr().out == f"linnet {linnet.__version__}\n"
    assert importlib.metadata.version("linnet") == linnet.__version__


def test_a_misspelt_verb_gives_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, right in (("trian", "train"), ("transcript", "transcribe"), ("prepar", "prepare")):
        assert apps.main([wrong]) == 2
        assert f"no verb {wrong!r}; did you mean {right!r}?" in capsys.readouterr().err
    assert apps.main(["zzz"]) == 2
    assert f"there are {', '.join(apps.VERBS)}" in capsys.readouterr().err


def test_a_verb_gets_its_arguments_and_gives_its_status(verb: Any) -> None:
    seen: list[list[str]] = []

    def main(argv: list[str]) -> int:
        seen.append(argv)
        return 7

    verb(main)
    assert apps.main(["train", "data=fsdd", "--x"]) == 7
    assert seen == [["data=fsdd", "--x"]]


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (AudioError("a.wav: empty"), 2, "linnet: a.wav: empty\n"),
        (ParityError("model.onnx: wrong"), 1, "linnet: model.onnx: wrong\n"),
        (KeyboardInterrupt(), 130, "linnet: interrupted\n"),
        (
            OSError(28, "No space left on device", "run/last.ckpt"),
            1,
            "linnet: [Errno 28] No space left on device: 'run/last.ckpt'\n",
        ),
        (SystemExit(2), 2, ""),
        (SystemExit(None), 0, ""),
        (SystemExit("stop here"), 1, "linnet: stop here\n"),
        (
            ModuleNotFoundError("no", name="torch.nn"),
            2,
            "linnet: this needs the Python package 'torch', which is not installed; "
            "install it with: pip install 'linnet[train]'\n",
        ),
        (
            ModuleNotFoundError("no", name="espeakng_loader"),
            2,
            "linnet: this needs the Python package 'espeakng_loader', which is not installed; "
            "install it with: pip install 'linnet[synth]'\n",
        ),
    ],
)
def test_what_goes_wrong_is_a_line_and_a_status(
    verb: Any,
    error: BaseException,
    status: int,
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    verb(raising(error))
    assert apps.main(["train"]) == status
    assert capsys.readouterr().err == text


def test_a_mistake_of_ours_is_not_hidden(verb: Any) -> None:
    verb(raising(ModuleNotFoundError("no", name="linnet.nothing")))
    with pytest.raises(ModuleNotFoundError):
        apps.main(["train"])
    verb(raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        apps.main(["train"])


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    script = (
        "import sys, types, linnet.apps\n"
        "def main(argv):\n"
        "    for _ in range(100000): sys.stdout.write('line\\n')\n"
        "    return 0\n"
        "module = types.ModuleType('linnet.apps.train'); module.main = main\n"
        "sys.modules['linnet.apps.train'] = module\n"
        "sys.exit(linnet.apps.main(['train']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.wait(20) == 141
        assert process.stderr.read() == b""


def test_importing_the_command_imports_nothing_heavy() -> None:
    script = (
        "import sys, linnet.apps\n"
        "heavy = {'torch', 'hydra', 'lightning', 'lhotse', 'numpy', 'onnxruntime'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
