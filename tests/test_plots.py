"""Pictures, looked at pixel by pixel where a pixel must mean something."""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from linnet import plots

BLUE, VERMILLION = (0, 114, 178), (213, 94, 0)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def near(image: np.ndarray, colour: tuple[int, int, int], tolerance: int = 6) -> np.ndarray:
    return np.abs(image - np.array(colour)).max(axis=2) <= tolerance


def some_posteriors(steps: int = 30) -> plots.Posteriors:
    probabilities = np.full((steps, 4), 0.002)
    probabilities[10:12, 2] = 0.9
    probabilities[20, 3] = 0.4
    probabilities[:, 0] = 1 - probabilities[:, 1:].sum(axis=1)
    return plots.Posteriors(
        log_probs=np.log(probabilities),
        tokens=["<blk>", "\u2581", "$", "b"],
        edges_s=np.arange(steps + 1) * 0.03,
        heard=[("$", 0.3, 0.36)],
    )


def every_picture() -> list[bytes]:
    waveform = np.random.default_rng(0).normal(size=16000).astype(np.float32) * 0.1
    matrix = np.array([[5, 1], [0, 7]])
    return [
        plots.confusion(matrix, ["up", "down"]),
        plots.posteriorgram(some_posteriors()),
        plots.spectrogram(waveform, 16000),
        plots.listening(waveform, 16000, some_posteriors(), theme="dark"),
    ]


def test_the_same_numbers_give_the_same_bytes_whatever_the_users_settings() -> None:
    first = every_picture()
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "xtick.direction": "in"}):
        assert every_picture() == first
        assert mpl.rcParams["axes.facecolor"] == "red"  # And the settings are left as they were.


def test_right_cells_are_blue_and_mistakes_orange() -> None:
    always_right = pixels(plots.confusion(np.diag([3, 4, 5]), ["a", "b", "c"]))
    always_wrong = pixels(plots.confusion(np.array([[0, 3], [4, 0]]), ["a", "b"]))
    assert near(always_right, BLUE).sum() > 2000
    assert not near(always_right, VERMILLION).any()
    assert near(always_wrong, VERMILLION).sum() > 1500
    assert not near(always_wrong, BLUE).any()


def test_the_theme_is_the_colour_of_the_paper() -> None:
    matrix = np.eye(2, dtype=int)
    assert pixels(plots.confusion(matrix, ["a", "b"]))[0, 0].min() > 250
    dark = pixels(plots.confusion(matrix, ["a", "b"], theme="dark"))
    assert dark[0, 0].max() < 40


def test_forty_classes_get_the_room_that_they_need() -> None:
    names = [f"word {i}" for i in range(40)]
    few = pixels(plots.confusion(np.eye(12, dtype=int), names[:12]))
    many = pixels(plots.confusion(np.eye(40, dtype=int), names))
    assert few.shape[0] < 900
    assert many.shape[0] / 40 > 38  # Pixels a row.


def test_a_tone_is_bright_at_its_frequency() -> None:
    time_s = np.arange(16000) / 16000
    tone = (0.5 * np.sin(2 * np.pi * 2000 * time_s)).astype(np.float32)
    image = pixels(plots.spectrogram(tone, 16000)).sum(axis=2)
    column = image[:, int(0.38 * image.shape[1])]  # Between the marks and the words.
    inside = np.flatnonzero(column < 300)  # The dark of the spectrogram, not the paper.
    top, bottom = inside.min(), inside.max()
    brightest = top + int(column[top:bottom].argmax())
    assert (bottom - brightest) / (bottom - top) == pytest.approx(2000 / 8000, abs=0.03)


@pytest.mark.parametrize("samples", [0, 1, 399, 16000])
def test_silence_and_the_shortest_clips_have_pictures(samples: int) -> None:
    nothing = plots.Posteriors(np.zeros((0, 2), np.float32), ["<blk>", "a"], np.zeros(1), [])
    png = plots.listening(np.zeros(samples, np.float32), 16000, nothing)
    assert pixels(png).shape[0] > 200


def test_a_picture_is_a_file_that_opens(tmp_path: Path) -> None:
    path = tmp_path / "posteriors.png"
    path.write_bytes(plots.posteriorgram(some_posteriors()))
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert not image.info.get("Software")
