"""Training examples made of several clips: words among other speech, silence and noise.

    cuts -> shuffled -> strung together with pauses, some halting -> batches of like length

A network that hears one clip at a time learns that a clip begins with a word and ends with it. In
a stream it must find the words itself. A bidirectional one may still tell all of them at the end of
the stream, since it knows where that is; so a stream also says where each clip speaks.
It also learns that a word between two pauses is one to be spotted: such words were recorded one by
one, and other speech in sentences. Who reads with difficulty pauses before each word and is then
mistaken for it, so some sentences get pauses.

What an epoch holds is planned at once from the seed and the epoch's number, without a sample being
read, so that a resumed run and several reading processes give what one uninterrupted process gives.

lhotse can join cuts (``CutSet.mix``, ``append``, ``pad``), but its joined cuts read every file
again and want one sample rate; here the pieces come from waveforms that are kept in memory.
"""

from linnet.compose.planning import Composition, StreamSampler
from linnet.compose.streams import Piece, Stream

__all__ = ["Composition", "Piece", "Stream", "StreamSampler"]
