"""linnet train: from a configuration to a run folder.

    corpus -> examined -> batches -> Lightning -> checkpoints, metrics.csv, record.json

The run folder is Hydra's (``hydra.run.dir``). A run that was stopped goes on with ``resume=true``,
from the end of its last complete epoch, and ends with the weights of an uninterrupted one.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
)
from omegaconf import DictConfig, OmegaConf

from linnet import data
from linnet.apps import checking, config
from linnet.apps.assembling import assemble
from linnet.apps.finishing import finish
from linnet.apps.reporting import MetricsTable, quiet_lightning
from linnet.cells import NO_OPERATOR
from linnet.errors import ConfigError, LinnetError
from linnet.files import write_text
from linnet.module import CheckpointFile, Training


def run(settings: DictConfig) -> None:
    """Do the work of ``linnet train``."""
    started = time.time()
    run_folder = Path(HydraConfig.get().runtime.output_dir)
    with quiet_lightning():
        try:
            settings = _settings_of_run(settings, run_folder)
            checking.check_targets(settings)
            _check_exportable(settings)
            training, batches, record = assemble(settings)
            _write_settings(run_folder, settings)
            _write_json(run_folder / "record.json", record)
        finally:
            # Where nothing began, nothing stays.
            if not any(run_folder.iterdir()):
                run_folder.rmdir()
        trainer = _trainer(settings, run_folder)
        last = run_folder / "checkpoints" / "last.ckpt"
        _fit(trainer, training, batches, last if last.is_file() else None, run_folder)
    record["result"] = _result(trainer, time.time() - started)
    _write_json(run_folder / "record.json", record)
    best = run_folder / "checkpoints" / "best.ckpt"
    if settings.finish is not None:
        words = [str(word) for word in settings.keywords]
        finish(best, run_folder / "model", keywords=words, target=settings.finish.target)
    sys.stdout.write(f"{best}\n")


def _settings_of_run(settings: DictConfig, run_folder: Path) -> DictConfig:
    """Give the settings to train with: the command's, or under ``resume`` those of the run."""
    written = run_folder / "config.yaml"
    if not settings.resume:
        if (run_folder / "checkpoints").is_dir():
            raise ConfigError(
                f"{run_folder} holds a run already; resume=true goes on with it, "
                f"hydra.run.dir=OTHER starts another"
            )
        return settings
    if not written.is_file():
        raise ConfigError(
            f"resume=true found no run in {run_folder}; name its folder with hydra.run.dir=RUN"
        )
    given = [one for one in HydraConfig.get().overrides.task if not one.startswith("resume=")]
    if given:
        raise ConfigError(
            f"resume=true goes on with the settings in {written}; leave out {' '.join(given)}"
        )
    resumed = OmegaConf.load(written)
    if not isinstance(resumed, DictConfig):
        raise ConfigError(
            f"{written}: expected the settings of a run, got {type(resumed).__name__}"
        )
    return resumed


def _write_settings(run_folder: Path, settings: DictConfig) -> None:
    """Write the settings that a resumed run goes on with."""
    write_text(run_folder / "config.yaml", OmegaConf.to_yaml(settings))


def _check_exportable(settings: DictConfig) -> None:
    """Refuse a network that is to be exported and cannot be."""
    cell = str(settings.model.get("cell"))
    if OmegaConf.select(settings, "export.required") and cell in NO_OPERATOR:
        raise ConfigError(
            f"model.cell={cell} cannot be exported: {NO_OPERATOR[cell]}; take another cell, or "
            "export.required=false to train it all the same"
        )


def _trainer(settings: DictConfig, run_folder: Path) -> lightning.Trainer:
    folder = run_folder / "checkpoints"
    best = {"monitor": settings.checkpoints.monitor, "mode": "min"}
    if best["monitor"] == "valid/accuracy":
        best["mode"] = "max"
    callbacks: list[Callback] = [
        ModelCheckpoint(folder, filename="best", enable_version_counter=False, **best),
        ModelCheckpoint(folder, filename="last", enable_version_counter=False),
        EarlyStopping(patience=settings.checkpoints.patience, **best),
        LearningRateMonitor("step"),
        MetricsTable(run_folder / "metrics.csv"),
    ]
    if sys.stderr.isatty():
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    loggers = [make(save_dir=run_folder) for make in config.build(settings.logger).values()]
    precision = settings.trainer.precision or _precision(settings.trainer.accelerator)
    trainer: lightning.Trainer = config.build(
        settings.trainer,
        precision=precision,
        callbacks=callbacks,
        logger=loggers,
        plugins=[CheckpointFile()],
        default_root_dir=run_folder,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    return trainer


def _precision(accelerator: str) -> str:
    """Give mixed precision where the device has it, else float32."""
    if accelerator == "cpu" or not torch.cuda.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def _fit(
    trainer: lightning.Trainer,
    training: Training,
    batches: data.Corpus,
    last: Path | None,
    run_folder: Path,
) -> None:
    """Train; a Ctrl-C ends as one line that says how to go on."""
    try:
        trainer.fit(training, datamodule=batches, ckpt_path=last, weights_only=True)
    except SystemExit as end:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt(
            f"stopped in epoch {trainer.current_epoch}; go on with: "
            f"linnet train resume=true hydra.run.dir={run_folder}"
        ) from end
    except OSError as error:
        raise LinnetError(f"{run_folder}: training could not write its files ({error})") from error


def _result(trainer: lightning.Trainer, seconds: float) -> dict[str, Any]:
    checkpoint = trainer.checkpoint_callback
    score = checkpoint.best_model_score if isinstance(checkpoint, ModelCheckpoint) else None
    return {
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "seconds": round(seconds, 1),
        "best": None if score is None else round(float(score), 6),
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")
