"""The call of linnet export; the work stands in ``exporting``, which takes seconds to import."""

from linnet.apps import config, running

USAGE = """usage: linnet export checkpoint=PATH output=DIR [KEY=VALUE ...]

Write the graphs of a checkpoint and prove on real recordings and hard shapes that they compute what
the checkpoint computes; fails, and leaves nothing behind, when they do not.

  linnet export checkpoint=runs/RUN/checkpoints/best.ckpt output=my_model
  linnet export checkpoint=BEST.ckpt output=my_model data.root=PATH   its corpus in another place
  linnet export checkpoint=BEST.ckpt output=my_model clips=0          without real recordings
  linnet export checkpoint=BEST.ckpt output=my_model report=report    figures for the model card
  linnet export checkpoint=BEST.ckpt output=my_model transducer=true commands=[yes,no]
                          for sherpa-onnx: keyword spotter, hot words, and a grammar (HL.fst)
"""


def main(argv: list[str]) -> int:
    """Run ``linnet export``."""
    return running.run("export", argv, USAGE, complete=_with_corpus)


def _with_corpus(argv: list[str]) -> list[str]:
    """Add the settings of the corpus that the checkpoint was trained on."""
    path = config.path_given(argv, "checkpoint", "export")
    config.path_given(argv, "output", "export")
    from linnet import module
    from linnet.apps import corpus

    return corpus.with_recorded_data(argv, module.load(path)[1])
