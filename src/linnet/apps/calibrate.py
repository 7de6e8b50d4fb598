"""The call of linnet calibrate; the work stands in ``calibrating``, slow to import."""

from linnet.apps import config, running

USAGE = """usage: linnet calibrate model=DIR keywords=[WORD,...] [target=0.5] [KEY=VALUE ...]

Find the threshold of each keyword for a rate of false alarms per hour, on audio that is not the
keyword, and write it with its evidence into the model's model.json. What the model says of the
audio is stored beside the folder: the next keyword takes seconds. Negatives that hold the keyword
are named and left out, where their text is known: it may stand beside a recording, NAME.txt.

  linnet calibrate model=MODEL keywords=[left,right]
  linnet calibrate model=MODEL keywords='["hey linnet"]' negatives=recordings/ target=0.1
  linnet calibrate model=MODEL keywords=[stop] data=kaldi data.root=PATH split=test
"""


def main(argv: list[str]) -> int:
    """Run ``linnet calibrate``."""
    return running.run("calibrate", argv, USAGE, complete=_with_corpus)


def _with_corpus(argv: list[str]) -> list[str]:
    """Add the settings of the corpus that the model was trained on, unless other audio is named."""
    path = config.path_given(argv, "model", "calibrate")
    if any(argument.startswith("negatives=") for argument in argv):
        return argv
    from linnet.apps import corpus

    return corpus.with_recorded_data(argv, corpus.load_model(path)[1])
