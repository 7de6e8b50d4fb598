"""Accuracy against cost: the picture, its names, and the published models beside the runs."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from linnet import metrics
from linnet.apps import costs, gathering, main, published
from linnet.apps.labelling import Label, place
from test_compare import finished

POINTS = [
    costs.Point("1x32/3", 29_000, 0.7, 0.86, 0.84, 0.88),
    costs.Point("2x48/3", 90_000, 0.9, 0.917, 0.9, 0.93),
    costs.Point("1x64/4", 88_000, 0.8, 0.9, 0.88, 0.92),
    costs.Point("3x96/3", 460_000, 1.7, 0.944, None, None),
    costs.Point("2x128/4", 520_000, 1.6, 0.934, 0.92, 0.95),
    costs.Point("2x128/4, gru_layernorm", 521_000, None, 0.935, 0.92, 0.95),
]


def boxes(figure: Figure) -> list[tuple[str, Any]]:
    """Where each name stands, in pixels; the line that ties it to its point is no part of it."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    found = []
    for text in (text for axes in figure.axes for text in axes.texts):
        text.update_positions(renderer)
        found.append((text.get_text(), Text.get_window_extent(text, renderer)))
    return found


def test_only_who_nobody_cheaper_equals_is_on_the_front() -> None:
    generator = np.random.default_rng(0)
    spent, right = generator.integers(1, 30, (2, 60)).astype(float).tolist()
    by_definition = {
        (cost, accuracy)
        for cost, accuracy in zip(spent, right, strict=True)
        if not any(
            c <= cost and a >= accuracy and (c, a) != (cost, accuracy)
            for c, a in zip(spent, right, strict=True)
        )
    }
    places = costs.front(spent, right)
    assert [spent[i] for i in places] == sorted(spent[i] for i in places)
    assert {(spent[i], right[i]) for i in places} == by_definition
    assert len(places) == len(by_definition)


def test_no_name_lies_on_another_or_on_a_point() -> None:
    generator = np.random.default_rng(1)
    figure = Figure(figsize=(8, 5), dpi=100)
    axes = figure.add_axes((0.1, 0.1, 0.85, 0.85))
    spots = [(float(a), float(b)) for a, b in generator.normal(0.5, 0.12, (30, 2))]
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    labels = [Label(f"3x{i}/3", spot, "black", 7.0) for i, spot in enumerate(spots)]
    place(axes, labels, [])
    placed = boxes(figure)
    assert [name for name, _ in placed] == [label.name for label in labels]
    assert not [
        (a, b) for (a, one), (b, other) in itertools.combinations(placed, 2) if one.overlaps(other)
    ]
    for x, y in axes.transData.transform(spots):
        assert not [name for name, box in placed if box.contains(x, y)]


def test_a_lone_name_stands_at_its_point_inside_the_axes_and_off_the_line() -> None:
    figure = Figure(figsize=(4, 4), dpi=100)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    place(axes, [Label("at the edge", (1.0, 0.5), "black", 8.0)], [])
    ((_, box),) = boxes(figure)
    assert box.x1 < axes.bbox.x1
    axes.texts[0].remove()
    place(axes, [Label("free", (0.5, 0.5), "black", 8.0)], [])
    ((_, beside),) = boxes(figure)
    axes.texts[0].remove()
    place(axes, [Label("free", (0.5, 0.5), "black", 8.0)], [[(0.5, 0.5), (1.0, 0.5)]])
    ((_, away),) = boxes(figure)
    spot = axes.transData.transform((0.5, 0.5))
    assert beside.x0 > spot[0]
    assert away.x1 < spot[0]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_names_every_model_once_and_says_what_published_figures_are(
    theme: costs.Theme,
) -> None:
    figure = costs.figure(POINTS, "closed set accuracy, test", theme)
    above, below = figure.axes
    known = [one.name for one in published.MODELS]
    own = [point.name for point in POINTS]
    assert sorted(text.get_text() for text in above.texts) == sorted(own + known)
    # Without a time there is nothing to draw over time.
    assert [text.get_text() for text in below.texts] == own[:-1]
    placed = boxes(figure)
    assert not [
        (a, b) for (a, one), (b, other) in itertools.combinations(placed, 2) if one.overlaps(other)
    ]
    assert above.get_xlim()[0] <= 10_000
    assert above.get_xlim()[1] >= 10_000_000
    assert "other splits" in above.get_xlabel()
    legend = [text.get_text() for text in above.get_legend().get_texts()]
    for split in {one.split for one in published.MODELS}:
        assert f"published, not comparable: {split}" in legend
    (caption,) = figure.texts
    said = " ".join(caption.get_text().split())
    assert "larger training set" in said
    assert "another split" in said
    assert "not a comparison" in said


def test_published_models_stand_with_split_and_source() -> None:
    assert len({one.name for one in published.MODELS}) == len(published.MODELS)
    for one in published.MODELS:
        assert 0.9 < one.accuracy < 1
        assert 5_000 < one.weights < 10_000_000
        assert one.split.startswith("Speech Commands")
        assert "table" in one.source or "model sheet" in one.source
    # Weights of the depthwise separable networks, from their layers: a convolution of 10 x 4,
    # blocks of 3 x 3 by channel and 1 x 1 across, 12 classes, each with an offset a channel.
    by_name = {one.name: one.weights for one in published.MODELS}
    for name, channels, blocks in (("S", 64, 4), ("M", 172, 4), ("L", 276, 5)):
        block = channels * (9 + 1) + channels * (channels + 1)
        counted = channels * (40 + 1) + blocks * block + 12 * (channels + 1)
        assert by_name[f"DS-CNN-{name}"] == pytest.approx(counted, rel=2e-3)


def test_costs_are_drawn_and_published_figures_written_beside_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # In the order of the folders the larger stands first.
    finished(tmp_path / "runs" / "a", "gru_layernorm", 0, 0.95)
    finished(tmp_path / "runs" / "gru", "gru", 0, 0.9)
    report = tmp_path / "runs" / "gru" / "report" / "report.json"
    report.write_text(json.dumps({"figures": {"sentence_accuracy": {"value": 0.9, "count": 50}}}))
    output = tmp_path / "out"
    assert main(["compare", str(tmp_path / "runs"), "--costs", "--output", str(output)]) == 0
    text = capsys.readouterr().out
    assert text == (output / "compared.md").read_text()
    assert "| KWT-1 | 607,000 | 97.7% | Speech Commands V2, 12 classes |" in text
    assert text.rstrip().endswith("For orientation, not a comparison.")
    content = json.loads((output / "compared.json").read_text())
    assert len(content["published"]) == len(published.MODELS)
    weights = [row["weights"] for row in content["rows"]]
    assert weights == sorted(weights)
    rows = {row["name"]: row for row in content["rows"]}
    wilson = metrics.proportion(45, 50)
    assert (rows["gru"]["answers_low"], rows["gru"]["answers_high"]) == (wilson.low, wilson.high)
    assert rows["gru"]["low"] is None
    assert f"{wilson.low:.1%} to {wilson.high:.1%}, one seed" in text
    assert rows["gru_layernorm"]["answers_low"] is None
    light, dark = (output / "costs.png").read_bytes(), (output / "costs_dark.png").read_bytes()
    assert light[:4] == dark[:4] == b"\x89PNG"
    assert light != dark


def test_without_the_flag_nothing_is_said_of_costs(tmp_path: Path) -> None:
    finished(tmp_path / "run", "gru", 0, 0.9)
    assert main(["compare", str(tmp_path / "run"), "--output", str(tmp_path / "out")]) == 0
    assert not list((tmp_path / "out").glob("costs*"))
    assert "published" not in (tmp_path / "out" / "compared.json").read_text()


def test_costs_of_a_task_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--task", "memory", "--costs"]) == 2
    assert "--costs draws runs; leave it out with --task memory" in capsys.readouterr().err


def run(folder: str, **settings: Any) -> gathering.Run:
    full = {"model.layers": 1, "model.hidden": 32, "model.stack": 3, "frontend.stack": 3}
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    return gathering.Run(Path(folder), full | dotted, 1.0, 0.9, "test", None)


def test_sizes_are_named_in_short_and_seeds_not_at_all() -> None:
    groups = gathering.groups(
        [
            run("a", seed=0),
            run("b", model__hidden=48, seed=0),
            run("c", model__hidden=48, seed=1),
            run("d", model__stack=4, frontend__stack=4, seed=0),
        ]
    )
    assert {name: len(own) for name, own in groups.items()} == {
        "1x32/3": 1,
        "1x48/3": 2,
        "1x32/4": 1,
    }


def test_what_else_differs_is_named_unless_it_is_much() -> None:
    assert list(
        gathering.groups(
            [run("a", model__cell="gru"), run("b", model__cell="mgu", model__layers=2)]
        )
    ) == [
        "1x32/3, gru",
        "2x32/3, mgu",
    ]
    assert list(gathering.groups([run("a", m__dropout=0.1), run("b", m__dropout=0.2)])) == [
        "dropout=0.1",
        "dropout=0.2",
    ]
    many = {f"data__setting_{i}": i for i in range(5)}
    assert list(gathering.groups([run("x/a"), run("x/b", **many)])) == ["a", "b"]
    # Two that would be called alike are told apart by their folders.
    others = {f"data__setting_{i}": -i - 1 for i in range(5)}
    assert list(gathering.groups([run("x/a", **many), run("y/a", **others)])) == ["a", "a (y/a)"]
