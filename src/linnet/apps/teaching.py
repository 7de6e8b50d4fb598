"""The teachers of a training: checkpoints, if they and their student speak of the same things.

teacher=PATH or [PATH, ...] -> recognisers -> same tokens? same sample rate? -> distillation
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from linnet.apps import config
from linnet.distill import Distillation
from linnet.errors import ConfigError
from linnet.module import Recogniser, load


def teachers(settings: DictConfig, student: Recogniser) -> list[tuple[Recogniser, dict[str, Any]]]:
    """Give those that the settings name, with the record of the training of each.

    Raises:
        ConfigError: a teacher is still to be named, or the student cannot learn from it.
        ModelError: it is no checkpoint.
    """
    found = []
    for path in config.checkpoints(settings, "teacher", does="learns from another model"):
        teacher, record = load(path)
        _check(path, teacher, student)
        found.append((teacher, record))
    return found


def distillation(
    settings: DictConfig, student: Recogniser, found: Sequence[Recogniser]
) -> Distillation | None:
    """Give what ``student`` learns from teachers, if there are any."""
    if not found:
        return None
    made: Distillation = instantiate(settings.distillation)(
        teachers=found,
        teacher_steps_s=[teacher.seconds(1) for teacher in found],
        student_step_s=student.seconds(1),
    )
    return made


def _check(path: Path, teacher: Recogniser, student: Recogniser) -> None:
    if teacher.tokenizer.tokens != student.tokenizer.tokens:
        raise ConfigError(
            f"teacher={path}: its {len(teacher.tokenizer.tokens)} tokens are not the "
            f"student's {len(student.tokenizer.tokens)}; train both with one tokenizer and the "
            "same words in the same order"
        )
    if teacher.sample_rate != student.sample_rate:
        raise ConfigError(
            f"teacher={path}: it hears {teacher.sample_rate} Hz, the student "
            f"{student.sample_rate} Hz; both need the same frontend.sample_rate"
        )
