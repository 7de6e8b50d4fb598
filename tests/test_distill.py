"""Distillation: what a teacher hears reaches a student whose steps and delay are its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import small_model
from linnet.apps import config, teaching
from linnet.data import Batch
from linnet.decode import greedy
from linnet.distill import Distillation, divergence, in_steps
from linnet.errors import ConfigError, ModelError
from linnet.module import Recogniser, Training
from linnet.streaming import network as build

TOKENS = 7


def spikes(ids: dict[int, int], steps: int, sure: float = 0.95) -> Tensor:
    """Posteriors of one clip: blank but where ``ids`` name a token."""
    made = torch.full((1, steps, TOKENS), (1 - sure) / (TOKENS - 1))
    for step in range(steps):
        made[0, step, ids.get(step, 0)] = sure
    return made


def posteriors(batch: int, steps: int) -> Tensor:
    return torch.randn(batch, steps, TOKENS).mul(4).softmax(-1)


@pytest.mark.parametrize("ratio", [4 / 3, 1.0, 3 / 4, 2.0, 1 / 3])
@pytest.mark.parametrize("apart", [0, 1, 2])
def test_steps_of_another_length_spell_the_same(ratio: float, apart: int) -> None:
    """Also of repeated tokens, where at least two new steps lie between them."""
    gap = 5
    ids = {2 + apart: 3, 2 + apart + gap: 3, 2 + apart + 2 * gap: 5, 3 + apart + 2 * gap: 5}
    teacher = spikes(ids, 30)
    mapped = in_steps(teacher, torch.tensor([30]), round(30 / ratio), ratio)
    assert greedy(mapped.log()[0].numpy()).ids == greedy(teacher.log()[0].numpy()).ids == (3, 3, 5)
    starts = np.array(greedy(mapped.log()[0].numpy()).starts) * ratio
    np.testing.assert_allclose(starts, greedy(teacher.log()[0].numpy()).starts, atol=1.01 * ratio)


def test_steps_of_the_same_length_stay_as_they_are() -> None:
    given = posteriors(3, 20)
    torch.testing.assert_close(in_steps(given, torch.tensor([20, 20, 20]), 20, 1.0), given)


@pytest.mark.parametrize("ratio", [4 / 3, 3 / 4])
def test_each_new_step_is_a_distribution_and_blank_beyond_the_end(ratio: float) -> None:
    given = posteriors(2, 24)
    given[1, 9:] = torch.nan
    mapped = in_steps(given, torch.tensor([24, 9]), 20, ratio)
    torch.testing.assert_close(mapped.sum(-1), torch.ones(2, 20))
    alone = in_steps(given[1:, :9], torch.tensor([9]), 20, ratio)
    torch.testing.assert_close(mapped[1:], alone)
    assert float(mapped[1, -1, 0]) == 1.0


def test_a_student_that_says_the_same_diverges_by_nothing() -> None:
    given = posteriors(3, 20)
    steps = torch.tensor([20, 7, 1])
    found = divergence(given.log(), steps, given, latest=0)
    torch.testing.assert_close(found, torch.zeros(3), atol=1e-4, rtol=0)


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_a_student_that_is_late_diverges_by_nothing_up_to_the_latest(delay: int) -> None:
    teacher, late = spikes({4: 3, 9: 5}, 20), spikes({4 + delay: 3, 9 + delay: 5}, 20)
    steps = torch.tensor([20])
    # What comes into view at the front is wholly blank in one and nearly so in the other.
    assert divergence(late.log(), steps, teacher, latest=3) < 0.06 * (delay + 1)
    if delay:
        assert divergence(late.log(), steps, teacher, latest=delay - 1) > 1.0


def test_no_delay_pushes_a_token_beyond_the_end() -> None:
    """A student of blanks alone would else agree with a teacher that spoke at the end."""
    teacher, nothing = spikes({18: 3}, 20), spikes({}, 20)
    assert divergence(nothing.log(), torch.tensor([20]), teacher, latest=5) > 1.0
    shorter = spikes({8: 3}, 20)
    assert divergence(nothing.log(), torch.tensor([10]), shorter, latest=5) > 1.0


def test_the_divergence_is_the_sum_of_its_definition() -> None:
    student, teacher = posteriors(1, 9), posteriors(1, 9)
    expected = nn.functional.kl_div(student.log(), teacher, reduction="sum")
    found = divergence(student.log(), torch.tensor([9]), teacher, latest=0)
    torch.testing.assert_close(found[0], expected)


def test_alone_equals_batched_and_junk_beyond_a_clip_changes_nothing() -> None:
    student, teacher = posteriors(2, 20).log(), posteriors(2, 20)
    student[1, 7:] = torch.nan
    teacher[1, 7:] = torch.nan
    together = divergence(student, torch.tensor([20, 7]), teacher, latest=2)
    alone = divergence(student[1:, :7], torch.tensor([7]), teacher[1:, :7], latest=2)
    torch.testing.assert_close(together[1:], alone)


def recogniser(kind: str) -> Recogniser:
    torch.manual_seed({"teacher": 1, "student": 2}[kind])
    if kind == "teacher":
        front_end = small_model.front_end(stack=3)
        net = small_model.network(front_end.features)
    else:
        front_end = small_model.front_end(
            normalisation="training", normalise_waveform=False, stack=4
        )
        settings = {
            "kind": "lookahead",
            "cell": "gru",
            "layers": 1,
            "hidden": 16,
            "lookahead": 2,
            "history": 0,
        }
        tokens = len(small_model.TOKENIZER.tokens)
        net = build({**settings, "dropout": 0.0, "features": front_end.features, "tokens": tokens})
    return Recogniser(front_end, net, small_model.TOKENIZER)


def made(student: Recogniser, distillation: Distillation | None) -> Training:
    augment = config.compose("train", ["augment=none"]).augment
    return Training(
        model=student,
        waveform_augment=config.build(augment.waveform),
        gain=config.build(augment.gain),
        warp=config.build(augment.warp),
        spec_augment=config.build(augment.spec),
        optimizer=torch.optim.SGD,
        warmup=0.1,
        seed=0,
        record={},
        distillation=distillation,
    )


def batch() -> Batch:
    clips = small_model.clips(2)
    samples = torch.tensor([len(clip) for clip in clips])
    waveform = torch.zeros(2, int(samples.max()))
    for row, clip in zip(waveform, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    first, second = (small_model.TOKENIZER.encode(text) for text in ("ab", "a"))
    return Batch(
        waveform=waveform,
        samples=samples,
        ids=torch.tensor([first, [*second, 0]]),
        tokens=torch.tensor([2, 1]),
        texts=["ab", "a"],
        names=["first", "second"],
    )


def distillation(weight: float, teacher: Recogniser | None = None) -> Distillation:
    teacher = teacher or recogniser("teacher")
    return Distillation(
        teacher=teacher,
        teacher_step_s=teacher.seconds(1),
        student_step_s=0.04,
        weight=weight,
        latest_s=0.2,
    )


def loss_of(student: Recogniser, distilled: Distillation | None, monkeypatch: Any) -> Tensor:
    trains = made(student, distilled)
    monkeypatch.setattr(trains, "log", lambda *_, **__: None)
    return trains.training_step(batch(), 0)


def test_without_a_teacher_or_without_weight_the_loss_is_of_the_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    student = recogniser("student")
    alone = loss_of(student, None, monkeypatch)
    weightless = loss_of(student, distillation(0.0), monkeypatch)
    torch.testing.assert_close(alone, weightless)
    assert not torch.isclose(alone, loss_of(student, distillation(0.5), monkeypatch))


def test_a_student_approaches_its_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    student, distilled = recogniser("student"), distillation(1.0)
    optimizer = torch.optim.Adam(student.network.parameters(), lr=0.02)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = loss_of(student, distilled, monkeypatch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_validation_tells_how_far_a_student_is_from_its_teachers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def logged(teacher: Recogniser, weight: float) -> float:
        trains = made(recogniser("student").eval(), distillation(weight, teacher))
        told: dict[str, float] = {}
        monkeypatch.setattr(trains, "log", lambda name, value, **_: told.update({name: value}))
        with torch.no_grad():
            trains.validation_step(batch(), 0)
        return float(told["valid/loss"])

    itself = recogniser("student")
    assert logged(itself, 1.0) == pytest.approx(0.0, abs=1e-4)
    assert logged(recogniser("teacher"), 1.0) > 0.1
    assert logged(itself, 0.5) == pytest.approx(logged(itself, 0.0) / 2, rel=1e-4)


def test_a_students_checkpoint_holds_nothing_of_the_teacher() -> None:
    student = recogniser("student")
    with_teacher = made(student, distillation(0.5))
    assert set(with_teacher.state_dict()) == set(made(student, None).state_dict())
    assert not any("teacher" in name for name, _ in with_teacher.named_parameters())


def saved_teacher(path: Path) -> Path:
    return small_model.saved(recogniser("teacher"), path, {})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["experiment=distill"], "add teacher=PATH, a checkpoint of linnet train"),
        (["experiment=distill", "teacher=none.ckpt"], "none.ckpt: there is no such checkpoint"),
    ],
)
def test_a_teacher_that_is_not_there_is_asked_for(overrides: list[str], message: str) -> None:
    with pytest.raises((ConfigError, ModelError), match=message):
        teaching.distillation(config.compose("train", overrides), recogniser("student"))


def test_a_teacher_of_other_tokens_is_refused(tmp_path: Path) -> None:
    settings = config.compose("train", [f"teacher={saved_teacher(tmp_path / 'a.ckpt')}"])
    student = recogniser("student")
    made, record = teaching.distillation(settings, student)
    assert isinstance(made, Distillation)
    assert record == {}
    student.tokenizer = type(small_model.TOKENIZER)("xyz")
    with pytest.raises(ConfigError, match="train both with one tokenizer"):
        teaching.distillation(settings, student)


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weight=1\.5 must lie between 0 and 1"):
        distillation(1.5)
