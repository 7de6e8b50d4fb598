"""Keywords: what was asked for, how sure the model is of it at each step, and when it was said.

    text, tokenizer            --keyword, parse-->  Keyword: token ids and a threshold
    log_probs (steps, tokens)  --Scorer-->          score and start of every keyword at each step
    log_probs, keywords        --Detector-->        detections as they come, and near misses
    log_probs, keywords        --detect-->          the same for a whole recording

A recording fed in chunks of any size gives exactly what it gives as a whole.
"""

from linnet.keywords.detecting import Detection, Detector, detect
from linnet.keywords.scoring import Scorer, Scores
from linnet.keywords.spelling import Keyword, keyword, parse

__all__ = ["Detection", "Detector", "Keyword", "Scorer", "Scores", "detect", "keyword", "parse"]
