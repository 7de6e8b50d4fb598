"""The page in a real browser: it hears what the runtime hears, by mouse, keyboard and touch."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from linnet import audio
from linnet.apps import vendoring
from linnet.apps.serving import Server
from linnet.export import export
from linnet.joined import JoinedNetwork
from linnet.keywords import Keyword
from linnet.runtime import Model, load
from linnet.text import Phonemes
from small_model import RECORD, TOKENIZER, clips, exported, front_end, network, silent

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PATIENCE_MS = 60_000
PHONE = {"width": 320, "height": 640}
DESK = {"width": 1280, "height": 900}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.skipif(
        not vendoring.is_there(vendoring.runtime_folder()),
        reason="the browser's runtime is missing: run scripts/vendor-web",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load(folder)


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], str]]:
    servers: list[tuple[Server, threading.Thread]] = []

    def started(model: Path, runtime: Path | None = None) -> str:
        runtime = runtime or vendoring.runtime_folder()
        server = Server({"": vendoring.page_folder(), "vendor": runtime, "model": model}, 0)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return server.url

    yield started
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Any) -> Iterator[Any]:
    started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
    yield started
    started.close()


class Visit:
    """A page that is open, and what its console said."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESK, **options})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(url)
        self.page.wait_for_selector("#status:not([data-state=busy])")

    def open(self, file: Path) -> None:
        self.page.set_input_files("#file", file)
        self.page.wait_for_selector("#player:not([hidden]), #error:not([hidden])")
        self.page.wait_for_selector("#status:not([data-state=busy])")

    def listen_for(self, *keywords: Keyword) -> None:
        for keyword in keywords:
            self.page.fill("#new-keyword", f"{keyword.text}:{keyword.threshold}")
            self.page.press("#new-keyword", "Enter")
            assert self.page.text_content("#keyword-error") == ""

    def detections(self) -> list[tuple[str, float, float, float]]:
        """Give keyword, start, end and score of what is shown."""
        found = []
        for text in self.page.locator("#detections li").all_inner_texts():
            word, start, end, score = re.fullmatch(
                r"(.+?)\s+([\d.]+)\u2013([\d.]+) s, score ([\d.]+)", text
            ).groups()
            found.append((word, float(start), float(end), float(score)))
        return found

    def overflow(self) -> int:
        """Give by how many pixels the page is wider than the screen."""
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Visit]]:
    visits: list[Visit] = []

    def started(url: str) -> Visit:
        visits.append(Visit(browser, url))
        return visits[-1]

    yield started
    for made in visits:
        made.context.close()


@pytest.fixture(scope="module")
def visited(browser: Any, serve: Any, folder: Path) -> Iterator[Visit]:
    made = Visit(browser, serve(folder))
    assert not made.page.is_visible("#picture")
    yield made
    made.context.close()


@pytest.fixture
def seen(visited: Visit) -> Iterator[Visit]:
    """The page on a desk, in daylight, without keywords; nothing may end up in its console."""
    visited.page.set_viewport_size(DESK)
    visited.page.emulate_media(color_scheme="light")
    visited.page.fill("#new-keyword", "")
    while visited.page.locator("#keyword-rows .remove").count():
        visited.page.click("#keyword-rows .remove >> nth=0")
    yield visited
    assert visited.said == []


@pytest.fixture(scope="module")
def long_recording(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten real clips, one after another: longer than a window."""
    clips = sorted((recordings / "speech_commands_subset" / "happy").glob("*.flac"))[:10]
    path = tmp_path_factory.mktemp("sound") / "ten words.wav"
    soundfile.write(path, np.concatenate([audio.read(clip) for clip in clips]), 16000, "PCM_16")
    return path


def keywords_of(model: Model) -> list[Keyword]:
    """Words of the letters that a model without training likes to hear."""
    return list(model.keywords(["a:0.6", "b:0.5", "cd:0.2", "hé:0.1"]))


def test_a_recording_is_heard_as_the_runtime_hears_it(
    seen: Visit, model: Model, long_recording: Path
) -> None:
    keywords = keywords_of(model)
    seen.listen_for(*keywords)
    seen.open(long_recording)
    waveform = audio.read(long_recording)
    text = model.transcribe(waveform, 16000).text
    assert len(text) > 5
    assert seen.page.text_content("#text").strip() == text
    spotted = sorted(model.spot(waveform, 16000, keywords), key=lambda one: (one.end, one.keyword))
    assert len(spotted) > 5
    shown = sorted(seen.detections(), key=lambda one: (one[2], one[0]))
    assert [one[0] for one in shown] == [one.keyword for one in spotted]
    for (_, start, end, score), one in zip(shown, spotted, strict=True):
        assert (start, end, score) == pytest.approx((one.start, one.end, one.score), abs=0.0051)
    assert seen.page.get_attribute("canvas >> nth=0", "aria-label").endswith(f"heard: {text}")
    assert seen.page.is_visible("#picture")
    assert "times as fast as speech" in seen.page.text_content("#timing")
    # Another keyword is looked for in what was heard, without hearing it again.
    added = model.keywords(["e:0.3"])
    seen.listen_for(*added)
    again = model.spot(waveform, 16000, added)
    assert sum(one[0] == "e" for one in seen.detections()) == len(again) > 0


def test_joined_networks_answer_in_the_page_as_one(
    browser: Any, serve: Any, long_recording: Path, tmp_path: Path
) -> None:
    made = front_end()
    both = JoinedNetwork([network(made.features), network(made.features, hidden=16)])
    settings: dict[str, Any] = {"longest_s": 1.0, "say": silent}
    export(made, both, TOKENIZER, RECORD, tmp_path / "both", clips(), **settings)
    visit = Visit(browser, serve(tmp_path / "both"))
    facts = visit.page.text_content("#model-facts")
    told = "2 \u00d7 24 bidirectional GRU and 2 \u00d7 16 bidirectional GRU, "
    assert facts.startswith(told)
    visit.open(long_recording)
    expected = load(tmp_path / "both").transcribe(audio.read(long_recording), 16000).text
    assert len(expected) > 5
    assert visit.page.text_content("#text").strip() == expected
    assert visit.said == []
    visit.context.close()


def test_phonemes_are_shown_as_the_words_that_they_tell(
    browser: Any, serve: Any, long_recording: Path, tmp_path: Path
) -> None:
    made = front_end()
    parts = (made, network(made.features))
    heard = "nmstɹdɡp"
    tokens = Phonemes([*heard, "aɪ", "oʊ"], {}, "en-us")
    export(*parts, tokens, RECORD, tmp_path / "bare", clips(), longest_s=0.5, say=silent)
    waveform = audio.read(long_recording)
    said = load(tmp_path / "bare").transcribe(waveform, 16000).text.split()
    # Two of the words that it hears get a name.
    lexicon = {"left": said[0], "right": said[-1]}
    tokens = Phonemes([*heard, "aɪ", "oʊ"], lexicon, "en-us")
    export(*parts, tokens, RECORD, tmp_path / "named", clips(), longest_s=0.5, say=silent)
    model = load(tmp_path / "named")
    text = model.transcribe(waveform, 16000).text
    assert text.startswith("left ")
    assert text.endswith(" right")
    visit = Visit(browser, serve(tmp_path / "named"))
    visit.open(long_recording)
    assert visit.page.text_content("#text").strip() == text
    keywords = model.keywords(["right:0.01", "taɪt:0.01"])
    visit.listen_for(*keywords)
    assert len(visit.detections()) == len(model.spot(waveform, 16000, keywords)) > 0
    visit.page.fill("#new-keyword", "xylophone")
    visit.page.press("#new-keyword", "Enter")
    assert "lexicon lacks “xylophone”" in visit.page.text_content("#keyword-error")
    assert visit.said == []
    visit.context.close()


def test_what_is_wrong_is_one_line_on_the_page(
    seen: Visit, recordings: Path, tmp_path: Path
) -> None:
    for name, content, words in (
        ("notes.wav", b"no sound at all", "notes.wav: the browser cannot decode this as sound"),
        ("empty.wav", b"", "empty.wav: the file is empty"),
    ):
        (tmp_path / name).write_bytes(content)
        seen.open(tmp_path / name)
        assert words in seen.page.text_content("#error")
    soundfile.write(tmp_path / "nan.wav", np.full(800, np.nan), 16000, subtype="FLOAT")
    seen.open(tmp_path / "nan.wav")
    assert "nan.wav: it holds NaN" in seen.page.text_content("#error")
    assert seen.page.text_content("#status") == "Ready"
    seen.open(next((recordings / "free_spoken_digit_dataset" / "recordings").glob("3_*_7.wav")))
    assert not seen.page.is_visible("#error")
    for typed, words in (
        ("xylophone", "this model has no character “l”"),
        ("!?", "a keyword needs letters"),
        ("a:2", "the threshold of “a” is 2"),
        ("a:much", "the threshold of “a” is NaN"),
    ):
        seen.page.fill("#new-keyword", typed)
        seen.page.press("#new-keyword", "Enter")
        assert words in seen.page.text_content("#keyword-error")


def test_a_model_that_is_not_the_exported_one_is_refused(
    folder: Path, tmp_path: Path, serve: Any, visit: Any
) -> None:
    changed = Path(shutil.copytree(folder, tmp_path / "changed"))
    graph = bytearray((changed / "model.onnx").read_bytes())
    graph[-1] ^= 1
    (changed / "model.onnx").write_bytes(graph)
    seen = visit(serve(changed))
    assert "model.onnx is not the file that was exported" in seen.page.text_content("#error")
    assert seen.page.text_content("#status") == "The model cannot be used"
    assert seen.page.is_disabled("#file")
    assert seen.page.is_disabled("#microphone")
    (tmp_path / "none").mkdir()
    seen = visit(serve(tmp_path / "none"))
    assert "the model folder beside this page lacks model.json" in seen.page.text_content("#error")
    seen = visit(serve(folder, tmp_path / "none"))
    assert "fetch it with scripts/vendor-web" in seen.page.text_content("#error")


def test_everything_can_be_done_by_keyboard(seen: Visit, long_recording: Path) -> None:
    page, keyboard = seen.page, seen.page.keyboard
    focused = "document.activeElement.id || document.activeElement.className"
    ring = "document.activeElement.closest('.button') ?? document.activeElement"
    page.mouse.click(1, 1)  # Where nothing is: Tab goes on from there.
    for goes_to in ("file", "microphone"):
        keyboard.press("Tab")
        assert page.evaluate(focused) == goes_to
        assert page.evaluate(f"getComputedStyle({ring}).outlineStyle") == "solid"
    page.focus("#new-keyword")
    keyboard.type("cd:0.2")
    keyboard.press("Enter")
    assert page.evaluate(focused) == "new-keyword"
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.press("ArrowRight")
    assert page.text_content("#keyword-rows output") == "0.21"
    seen.open(long_recording)
    count = len(seen.detections())
    assert count > 0
    page.focus("#keyword-rows input")
    keyboard.press("End")
    assert page.text_content("#keyword-rows output") == "1.00"
    assert len(seen.detections()) < count
    keyboard.press("Home")
    page.focus("#detections button")
    keyboard.press("Enter")
    page.wait_for_function("!document.querySelector('#audio').paused")
    page.wait_for_selector("#playhead:not([hidden])", state="attached")
    page.focus("#keyword-rows .remove")
    keyboard.press("Enter")
    assert seen.detections() == []
    assert page.evaluate(focused) == "new-keyword"


def luminance(colour: str) -> float:
    """Give the relative luminance of #rrggbb (WCAG 2.2, definitions)."""
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling_and_every_colour_can_be_read(
    seen: Visit, scheme: str, model: Model, long_recording: Path
) -> None:
    seen.page.set_viewport_size(PHONE)
    seen.page.emulate_media(color_scheme=scheme)
    assert seen.overflow() == 0
    seen.listen_for(*keywords_of(model), *model.keywords(["abcdefgh" * 3]))
    seen.open(long_recording)
    assert seen.detections()
    assert seen.overflow() == 0
    style = "getComputedStyle(document.documentElement).getPropertyValue('--{}').trim()"
    colours = {
        name: luminance(seen.page.evaluate(style.format(name)))
        for name in (
            *("page", "card", "ink", "soft", "accent", "on-accent", "accent-wash", "lane"),
            *(f"key-{i}" for i in range(8)),
        )
    }
    assert (colours["page"] < 0.1) == (scheme == "dark")
    readable = [("ink", "page"), ("ink", "card"), ("soft", "page"), ("soft", "card")]
    readable += [("on-accent", "accent"), ("accent", "card"), ("ink", "accent-wash")]
    visible = [(f"key-{i}", ground) for i in range(8) for ground in ("lane", "card")]
    for pairs, least in ((readable, 4.5), (visible, 3.0)):
        for pair in pairs:
            dark, light = sorted(colours[name] for name in pair)
            assert (light + 0.05) / (dark + 0.05) >= least, pair


def test_the_microphone_is_heard_as_it_goes(
    playwright: Any, folder: Path, model: Model, long_recording: Path, serve: Any
) -> None:
    fake = (
        *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        f"--use-file-for-fake-audio-capture={long_recording}",
    )
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *fake])
    live = Visit(browser, serve(folder), permissions=["microphone"])
    page = live.page
    live.listen_for(*keywords_of(model))
    page.focus("#microphone")
    page.keyboard.press("Enter")
    page.wait_for_selector("#status[data-state=live]")
    page.wait_for_selector("#detections li")
    page.wait_for_selector("#text[data-empty=false]")
    assert page.get_attribute("#microphone", "aria-pressed") == "true"
    assert page.text_content("#microphone-label") == "Stop"
    assert live.overflow() == 0
    page.click("#microphone")
    page.wait_for_selector("#status[data-state=ready]")
    heard = page.text_content("#text")
    assert live.detections()
    page.wait_for_timeout(500)
    assert page.text_content("#text") == heard
    # And again, from the beginning.
    page.click("#microphone")
    page.wait_for_selector("#status[data-state=live]")
    assert live.detections() == []
    live.open(long_recording)
    assert page.get_attribute("#microphone", "aria-pressed") == "false"
    assert (
        page.text_content("#text").strip()
        == model.transcribe(audio.read(long_recording), 16000).text
    )
    assert live.said == []
    browser.close()
