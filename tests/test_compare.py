"""linnet compare: a table of runs, and the task of memory."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats

from linnet import streaming
from linnet.apps import comparing, main, memory
from linnet.module import Recogniser
from small_model import TOKENIZER, front_end, saved

SIZES = {"hidden": 6, "layers": 1, "bidirectional": True, "dropout": 0.0}


def finished(folder: Path, cell: str, seed: int, accuracy: float, *, report: bool = True) -> None:
    """Leave in ``folder`` what a training leaves."""
    ends = front_end()
    torch.manual_seed(seed)
    sizes = {"features": ends.features, "tokens": len(TOKENIZER.tokens), "cell": cell}
    made = Recogniser(ends, streaming.network({**SIZES, **sizes}), TOKENIZER)
    record: dict[str, Any] = {
        "seed": seed,
        "settings": {
            "seed": seed,
            "model": {"cell": cell, "hidden": 6},
            "checkpoints": {"monitor": "valid/wer"},
        },
        "result": {"seconds": 30.0, "epochs": 3, "best": round(1 - accuracy, 6)},
    }
    (folder / "checkpoints").mkdir(parents=True)
    saved(made, folder / "checkpoints" / "best.ckpt", record)
    (folder / "record.json").write_text(json.dumps(record))
    if report:
        (folder / "report").mkdir()
        figures = {"closed_set_accuracy": {"value": accuracy}}
        (folder / "report" / "report.json").write_text(json.dumps({"figures": figures}))


def test_runs_of_one_kind_share_a_row_with_students_interval_over_their_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gru = [0.91, 0.95, 0.93]
    for seed, accuracy in enumerate(gru):
        finished(tmp_path / "sweep" / f"gru{seed}", "gru", seed, accuracy)
    finished(tmp_path / "sweep" / "ln", "gru_layernorm", 0, 0.9)
    output = tmp_path / "compared"
    assert main(["compare", str(tmp_path / "sweep"), "--output", str(output)]) == 0
    text = capsys.readouterr().out
    assert text == (output / "compared.md").read_text()
    rows = {row["name"]: row for row in json.loads((output / "compared.json").read_text())["rows"]}
    assert list(rows) == ["gru", "gru_layernorm"]
    low, high = stats.t.interval(0.95, 2, loc=0.93, scale=stats.sem(gru))
    assert rows["gru"]["accuracy"] == pytest.approx(0.93)
    assert rows["gru"]["low"] == pytest.approx(low)
    assert rows["gru"]["high"] == pytest.approx(min(high, 1.0))
    assert rows["gru"]["seeds"] == 3
    assert rows["gru"]["epoch_s"] == 10.0
    assert rows["gru"]["inference_ms"] > 0
    # What ONNX cannot hold has no graph to measure.
    assert rows["gru_layernorm"]["inference_ms"] is None
    assert "| gru_layernorm | 1 |" in text
    assert "one seed" in text
    assert {"compared.png", "compared_dark.png"} <= {path.name for path in output.iterdir()}


def test_without_a_report_the_best_epoch_counts_and_the_table_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(tmp_path / "run", "gru", 0, 0.75, report=False)
    assert main(["compare", str(tmp_path / "run"), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "| 75.0% |" in said
    assert "valid wer, best epoch" in said


def test_a_loss_is_not_taken_for_an_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(tmp_path / "run", "gru", 0, 0.75, report=False)
    record = tmp_path / "run" / "record.json"
    record.write_text(record.read_text().replace("valid/wer", "valid/loss"))
    assert main(["compare", str(tmp_path / "run"), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "chosen by valid/loss, which is no accuracy; run linnet evaluate model=" in said


def test_a_figure_of_one_run_has_no_interval_and_equal_runs_have_none_to_speak_of() -> None:
    assert comparing.interval([0.5]) == (None, None)
    assert comparing.interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{empty}"], "there is no finished run in it"),
        (["--task", "memory", "--cells", "gru,elman"], "--cells elman: there is no such cell"),
        (["--task", "memory", "--lengths", "1"], "--lengths 1: expected at least 2 steps"),
        (["--task", "memory", "--steps", "0"], "--steps 0: expected at least 1"),
        (["--task", "memory", "--seeds", "a"], "'a' is no list of whole numbers"),
        (["--task", "memory", "{empty}"], "trains by itself; leave out"),
        ([], "name the runs to compare, or --task memory"),
    ],
)
def test_a_wrong_call_is_named(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [one.format(empty=tmp_path) for one in arguments]
    assert main(["compare", *given]) == 2
    assert message in capsys.readouterr().err


def test_the_sum_of_the_two_marked_numbers_is_asked_for() -> None:
    sequences, sums = memory.problems(500, 30, torch.Generator().manual_seed(0))
    numbers, marks = sequences.unbind(-1)
    assert torch.equal(marks.sum(1), torch.full((500,), 2.0))
    assert torch.equal(marks[:, :15].sum(1), torch.ones(500))
    torch.testing.assert_close((numbers * marks).sum(1), sums)
    # Guessing 1 costs what the literature says.
    assert float((sums - 1).square().mean()) == pytest.approx(memory.GUESSING, abs=0.02)


def test_a_short_memory_task_is_solved_and_not_solved_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["compare", "--task", "memory", "--cells", "mgu", "--lengths", "4"]
    command += ["--steps", "400", "--output", str(tmp_path)]
    assert main(command) == 0
    first = capsys.readouterr()
    assert "mgu length 4 seed 0: solved after" in first.err
    assert "1 of 1" in first.out
    (trial,) = json.loads((tmp_path / "memory.json").read_text())["trials"]
    assert trial["error"] < memory.SOLVED
    assert len(trial["reach_trained"]) == 4
    assert max(trial["reach_trained"]) == 1.0

    def never(*_: object) -> None:
        raise AssertionError("done already")

    monkeypatch.setattr(memory, "attempt", never)
    assert main(command) == 0
    assert capsys.readouterr().out == first.out
    # Another size is another trial.
    with pytest.raises(AssertionError, match="done already"):
        main([*command, "--steps", "401"])


@pytest.mark.slow
def test_a_sweep_over_cells_and_seeds_becomes_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("espeakng_loader")
    import spoken

    sweep = tmp_path / "sweep"
    small = ["model.layers=1", "model.hidden=8", "trainer=cpu", "trainer.max_epochs=1"]
    command = [*spoken.settings(tmp_path / "corpus"), *small, f"hydra.sweep.dir={sweep}"]
    assert main(["train", "-m", "model.cell=gru,mgu", "seed=0,1", *command]) == 0
    assert sorted(path.name for path in sweep.iterdir() if path.is_dir()) == ["0", "1", "2", "3"]
    capsys.readouterr()
    output = tmp_path / "compared"
    assert main(["compare", str(sweep), "--evaluate", "--output", str(output)]) == 0
    rows = json.loads((output / "compared.json").read_text())["rows"]
    assert [(row["name"], row["seeds"]) for row in rows] == [("gru", 2), ("mgu", 2)]
    assert all(row["measured_on"].endswith("test") for row in rows)
