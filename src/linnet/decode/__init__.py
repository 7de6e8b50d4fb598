"""CTC posteriors to text: the best path, a prefix beam, the likelihood and the times of a text.

    log_probs (steps, tokens)  --greedy | beam-->          Hypothesis: ids, times, confidences
    log_probs + ids            --log_likelihood-->         log P(ids), all paths summed
    log_probs + ids            --align-->                  Hypothesis: the best path that spells ids

A path names one token a step; it spells a text once repeats are merged and blanks (token 0) are
dropped (Graves et al. 2006, "Connectionist temporal classification", section 3). Everything is
computed in float64 on logarithms.
"""

from linnet.decode.paths import Hypothesis, greedy
from linnet.decode.prefixes import beam
from linnet.decode.texts import align, log_likelihood, log_likelihoods

__all__ = ["Hypothesis", "align", "beam", "greedy", "log_likelihood", "log_likelihoods"]
