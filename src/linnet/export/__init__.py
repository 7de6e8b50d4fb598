"""Export: a checkpoint becomes ONNX graphs, proven equal to it, in a folder that runtimes load.

    front-end, network --graphs--> model.onnx, features.onnx --parity--> a model folder

No exporter takes part: the graphs are written node by node (``graphs``) and held against the
checkpoint on real recordings and hard shapes (``parity``); a folder that fails is never seen
(``folder``).
"""

from linnet.export.card import check_report, matching
from linnet.export.folder import Contents, export

__all__ = ["Contents", "check_report", "export", "matching"]
