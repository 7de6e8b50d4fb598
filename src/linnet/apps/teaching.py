"""The teacher of a training: a checkpoint, if it and its student speak of the same things.

teacher=PATH -> recogniser -> same tokens? same sample rate? -> distillation
"""

from typing import Any

from omegaconf import DictConfig

from linnet.apps import config
from linnet.distill import Distillation
from linnet.errors import ConfigError
from linnet.module import Recogniser, load


def distillation(
    settings: DictConfig, student: Recogniser
) -> tuple[Distillation | None, dict[str, Any] | None]:
    """Give what ``student`` learns from a teacher, if the settings name one, and its record.

    Raises:
        ConfigError: the teacher is still to be named, or the student cannot learn from it.
        ModelError: it is no checkpoint.
    """
    path = config.checkpoint(settings, "teacher", does="learns from another model")
    if path is None:
        return None, None
    teacher, record = load(path)
    if teacher.tokenizer.tokens != student.tokenizer.tokens:
        raise ConfigError(
            f"teacher={settings.teacher}: its {len(teacher.tokenizer.tokens)} tokens are not the "
            f"student's {len(student.tokenizer.tokens)}; train both with one tokenizer and the "
            "same words in the same order"
        )
    if teacher.sample_rate != student.sample_rate:
        raise ConfigError(
            f"teacher={settings.teacher}: it hears {teacher.sample_rate} Hz, the student "
            f"{student.sample_rate} Hz; both need the same frontend.sample_rate"
        )
    made: Distillation = config.build(settings.distillation)(
        teacher=teacher, teacher_step_s=teacher.seconds(1), student_step_s=student.seconds(1)
    )
    return made, record
