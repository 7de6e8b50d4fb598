"""What a training says while it runs: a line and a row an epoch, and no advice of Lightning's."""

import csv
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Callback

from linnet.files import beside


class MetricsTable(Callback):
    """Writes ``metrics.csv``, a row an epoch, and says each epoch in a line where no bar is shown.

    A resumed run keeps the rows of the epochs before it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Add this epoch's row."""
        values = {k: float(v) for k, v in sorted(trainer.callback_metrics.items())}
        row = {"epoch": trainer.current_epoch, "step": trainer.global_step, **values}
        rows = [*self._rows(before=trainer.current_epoch), {k: str(v) for k, v in row.items()}]
        with beside(self._path) as draft, draft.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(rows)
        if not sys.stderr.isatty():
            shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
            sys.stderr.write(f"epoch {trainer.current_epoch}  {shown}\n")

    def _rows(self, before: int) -> list[dict[str, str]]:
        if not self._path.is_file():
            return []
        with self._path.open(newline="") as file:
            return [row for row in csv.DictReader(file) if int(row["epoch"]) < before]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice (more workers, a GPU unused) away from the user's terminal."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        yield
    logger.setLevel(level)
