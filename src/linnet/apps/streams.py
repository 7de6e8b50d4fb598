"""The call of linnet streams; the work stands in ``stringing``, which takes seconds to import."""

from linnet.apps import running

USAGE = """usage: linnet streams [KEY=VALUE ...]

String the clips of a corpus into long recordings, as linnet evaluate task=spotting judges them:
WAV files, and spans.jsonl with what is said in each, from when to when.

  linnet streams data=spotting_commands12 output=streams
  linnet streams data=folders data.root=my_words streams.stream_s=60.0 streams.snr_db=[0.0,10.0]
"""


def main(argv: list[str]) -> int:
    """Run ``linnet streams``."""
    return running.run("streams", argv, USAGE)
