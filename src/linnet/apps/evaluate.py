"""The call of linnet evaluate; the work stands in ``evaluating``, which takes seconds to import."""

from linnet.apps import config, running

USAGE = """usage: linnet evaluate model=PATH [KEY=VALUE ...]

Judge a checkpoint (.ckpt) or an exported model (a folder or .onnx) on the test split of the corpus
that it was trained on, or on another one; writes report.json and report.html.

  linnet evaluate model=runs/RUN/checkpoints/best.ckpt
  linnet evaluate model=MODEL output=report data.root=PATH   the same corpus in another place
  linnet evaluate model=MODEL data=folders data.root=my_words commands=[yes,no]
  linnet evaluate model=MODEL split=valid beam=8
  linnet evaluate model=MODEL/model.int8.onnx                the graph with int8 weights

With task=spotting, judge keywords in long recordings that are made of the corpus's clips: misses at
rates of false alarms per hour, for every graph of the folder side by side.

  linnet evaluate model=DIR task=spotting keywords=[left,right]
  linnet evaluate model=DIR task=spotting data=spotting_commands12 checkpoint=RUN/best.ckpt
"""


def main(argv: list[str]) -> int:
    """Run ``linnet evaluate``."""
    return running.run("evaluate", argv, USAGE, complete=_with_corpus)


def _with_corpus(argv: list[str]) -> list[str]:
    """Add the settings of the corpus that the model was trained on."""
    path = config.path_given(argv, "model", "evaluate")
    from linnet.apps import corpus

    return corpus.with_recorded_data(argv, corpus.load_model(path)[1])
