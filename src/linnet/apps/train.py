"""The call of linnet train; the work stands in ``training``, which takes seconds to import."""

from linnet.apps import running

USAGE = """usage: linnet train [KEY=VALUE ...]

Train a recogniser; prints the path of the best checkpoint.

  linnet train experiment=commands12 data.root=PATH          a published figure, made again
  linnet train data=folders data.root=my_words               your own recordings, a folder a word
  linnet train trainer=cpu trainer.max_epochs=5 model.hidden=64
  linnet train -m model.cell=gru,lstm,rnn                    one run for each
  linnet train resume=true hydra.run.dir=runs/RUN            go on with a run that was stopped
"""


def main(argv: list[str]) -> int:
    """Run ``linnet train``."""
    return running.run("train", argv, USAGE)
