"""The power spectrum inside the waveform graph, as a Fourier transform of two matrix products.

    x -> float64 -> level -> fill -> reflect -> differences -> frames -> DC removed -> windowed
      -> [product over rows] -> [product over columns, with the twiddles] -> power

With N = I x J, sample n = i J + j and bin k = k1 + I k2 (Cooley and Tukey 1965),

    X[k1 + I k2] = sum_j exp(-2 pi i j k / N) * sum_i exp(-2 pi i i k1 / I) x[i J + j]

The frame is real, so k1 up to I/2 gives every bin or its mirror image N - k, of the same power.

Why float64: float32 leaves noise 140 dB below a frame's loudest part, and a network sees it in
quiet bands that the logarithm lifts. Over 172 recordings the log-probabilities of a trained network
moved by up to 1.8e-4 in float32 and 3.3e-5 in float64, the rest being the network's own rounding.
Two products make it cheap: a tenth of the work of one with the whole matrix. Their matrices are
gathered from one period of a cosine, which a runtime does once, when it loads the graph.
"""

import math

import numpy as np
from jaxtyping import Int

from linnet.export.builder import Graph
from linnet.frontend import LEVEL_EPSILON, FrontEnd

_TO_THE_START = -(2**63)


def power(graph: Graph, front_end: FrontEnd, waveform: str) -> tuple[str, str]:
    """Add the nodes from raw samples [N, S] to the power spectrum [N, T, bins] and T.

    The bins come in the order of :func:`bin_order`.
    """
    wide = graph.cast("level/float64", waveform, np.float64)
    if front_end.normalise_waveform:
        wide = _level(graph, wide)
    reflected, frames = _reflected(graph, front_end, _filled(graph, front_end, wide))
    windowed = _windowed(graph, front_end, reflected, frames)
    return _transformed(graph, front_end, windowed, frames), frames


def bin_order(length: int) -> list[int]:
    """Give which bin of the one-sided spectrum stands at each place of the output."""
    rows, columns = _factors(length)
    bins = (k1 + rows * k2 for k1 in range(rows // 2 + 1) for k2 in range(columns))
    return [min(k, length - k) for k in bins]


def _level(graph: Graph, wide: str) -> str:
    """Bring each clip to mean 0 and variance 1; a clip without samples stays empty."""
    samples = graph.node("Max", "level/count", graph.size("level/samples", wide, 1), graph.ints(1))
    count = graph.cast("level/count_float64", samples, np.float64)
    total = graph.node("ReduceSum", "level/sum", wide, graph.ints(1), keepdims=1)
    mean = graph.node("Div", "level/mean", total, count)
    centred = graph.node("Sub", "level/centred", wide, mean)
    squares = graph.node("ReduceSumSquare", "level/squares", centred, axes=[1], keepdims=1)
    variance = graph.node("Div", "level/variance", squares, count)
    epsilon = graph.number(LEVEL_EPSILON, np.float64)
    floored = graph.node("Add", "level/floored", variance, epsilon)
    deviation = graph.node("Sqrt", "level/deviation", floored)
    return graph.node("Div", "level/levelled", centred, deviation)


def _filled(graph: Graph, front_end: FrontEnd, waveform: str) -> str:
    """Fill a clip shorter than ``least_samples`` up with zeros."""
    samples = graph.size("fill/samples", waveform, 1)
    short = graph.node("Sub", "fill/short", graph.ints(front_end.least_samples), samples)
    missing = graph.node("Max", "fill/missing", short, graph.ints(0))
    pads = graph.node("Concat", "fill/pads", graph.ints(0, 0, 0), missing, axis=0)
    return graph.node("Pad", "fill/filled", waveform, pads)


def _reflected(graph: Graph, front_end: FrontEnd, waveform: str) -> tuple[str, str]:
    """Continue a clip by its mirror images as far as its frames reach; give it and their count."""
    lead, window, shift = (
        front_end.lead_samples,
        front_end.window_samples,
        front_end.shift_samples,
    )
    axis, back = graph.ints(1), graph.ints(-1)
    parts = [waveform]
    if lead:
        start, end = graph.ints(lead - 1), graph.ints(_TO_THE_START)
        parts.insert(0, graph.node("Slice", "reflect/lead", waveform, start, end, axis, back))
    stop = graph.ints(-1 - window)
    parts.append(graph.node("Slice", "reflect/tail", waveform, back, stop, axis, back))
    whole = graph.node("Concat", "reflect/whole", *parts, axis=1)
    samples = graph.size("reflect/samples", waveform, 1)
    rounded = graph.node("Add", "reflect/rounded", samples, graph.ints(shift // 2))
    frames = graph.node("Div", "reflect/frames", rounded, graph.ints(shift))
    starts = graph.node("Mul", "reflect/starts", frames, graph.ints(shift))
    reach = graph.node("Add", "reflect/reach", starts, graph.ints(window - shift))
    return graph.node("Slice", "reflect/used", whole, graph.ints(0), reach, axis), frames


def _windowed(graph: Graph, front_end: FrontEnd, waveform: str, frames: str) -> str:
    """Give the frames [N, T, window] of the differences, without DC, under the window."""
    window, shift = front_end.window_samples, front_end.shift_samples
    # Blocks of samples are gathered, not samples: that is much faster.
    block = math.gcd(window, shift)
    positions = _positions(graph, frames, window // block, shift // block)
    # Before the whole waveform there is no sample; the window is 0 where it would matter.
    stop, axis = graph.ints(-1), graph.ints(1)
    earlier = graph.node("Slice", "emphasis/earlier", waveform, graph.ints(0), stop, axis)
    delayed = graph.node("Pad", "emphasis/delayed", earlier, graph.ints(0, 1, 0, 0))
    coefficient = graph.number(front_end.preemphasis, np.float64)
    weighted = graph.node("Mul", "emphasis/weighted", delayed, coefficient)
    differences = graph.node("Sub", "emphasis/differences", waveform, weighted)
    in_blocks = graph.node("Reshape", "frames/blocks", differences, graph.ints(0, -1, block))
    gathered = graph.node("Gather", "frames/gathered", in_blocks, positions, axis=1)
    framed = graph.node("Reshape", "frames/framed", gathered, graph.ints(0, 0, window))
    offset = _offset(graph, waveform, positions, block)
    # What a frame's mean leaves after pre-emphasis.
    left = graph.number(1.0 - front_end.preemphasis, np.float64)
    direct = graph.node("Mul", "frames/direct_current", offset, left)
    centred = graph.node("Sub", "frames/centred", framed, direct)
    shape = graph.constant("frames/window", front_end.window.double().cpu().numpy())
    return graph.node("Mul", "frames/windowed", centred, shape)


def _positions(graph: Graph, frames: str, per_window: int, per_shift: int) -> str:
    """Say which blocks make each frame, [T, blocks]."""
    number = graph.node("Squeeze", "frames/number", frames)
    zero, one = graph.number(0, np.int64), graph.number(1, np.int64)
    counted = graph.node("Range", "frames/counted", zero, number, one)
    starts = graph.node("Mul", "frames/starts", counted, graph.ints(per_shift))
    column = graph.node("Unsqueeze", "frames/column", starts, graph.ints(1))
    return graph.node("Add", "frames/positions", column, graph.ints(*range(per_window)))


def _offset(graph: Graph, waveform: str, positions: str, block: int) -> str:
    """Give the mean of each frame of the waveform, [N, T, 1]."""
    blocks = graph.node("Reshape", "offset/blocks", waveform, graph.ints(0, -1, block))
    means = graph.node("ReduceMean", "offset/block_means", blocks, axes=[2], keepdims=0)
    gathered = graph.node("Gather", "offset/gathered", means, positions, axis=1)
    return graph.node("ReduceMean", "offset/frame_means", gathered, axes=[2], keepdims=1)


def _transformed(graph: Graph, front_end: FrontEnd, windowed: str, frames: str) -> str:
    """Give the power spectrum [N, T, bins] of frames, in float32."""
    length, window = front_end.fft_samples, front_end.window_samples
    rows, columns = _factors(length)
    used = -(-window // columns)  # rows below hold nothing but the zeros after the window
    kept = rows // 2 + 1
    row, column, k1, k2 = np.arange(used), np.arange(columns), np.arange(kept), np.arange(columns)
    if used * columns > window:
        missing = graph.ints(0, 0, 0, 0, 0, used * columns - window)
        windowed = graph.node("Pad", "dft/padded", windowed, missing)
    # Whole rows change places, here and below, never single numbers: that is much faster.
    grid = graph.node("Reshape", "dft/grid", windowed, graph.ints(0, 0, used, columns))
    by_row = graph.node("Transpose", "dft/by_row", grid, perm=[2, 0, 1, 3])
    flat = graph.node("Reshape", "dft/flat", by_row, graph.ints(used, -1))
    # A quarter of a period turns a cosine into the imaginary part, minus a sine.
    quarter = length // 4
    first = _cosines(graph, "dft/rows", length, k1[:, None, None], row * columns, [[0], [quarter]])
    first = graph.node("Reshape", "dft/rows_matrix", first, graph.ints(2 * kept, used))
    inner = graph.node("MatMul", "dft/inner", first, flat)
    parts = graph.node("Reshape", "dft/inner_parts", inner, graph.ints(kept, 2, -1, columns))
    by_frame = graph.node("Transpose", "dft/by_frame", parts, perm=[0, 2, 1, 3])
    joined = graph.node("Reshape", "dft/joined", by_frame, graph.ints(kept, -1, 2 * columns))
    # From (real, imaginary) to either, for each k1: twiddle and transform in one.
    bins = (k1[:, None] + rows * k2)[:, None, None, :]
    squares = []
    for part, turn in (("real", [0, -quarter]), ("imaginary", [quarter, 0])):
        turns = np.array(turn)[:, None, None]
        second = _cosines(graph, f"dft/{part}", length, bins, column[:, None], turns)
        shape = graph.ints(kept, 2 * columns, columns)
        second = graph.node("Reshape", f"dft/{part}_matrix", second, shape)
        outer = graph.node("MatMul", f"dft/{part}", joined, second)
        squares.append(graph.node("Mul", f"dft/{part}_power", outer, outer))
    narrow = graph.cast("dft/power", graph.node("Add", "dft/power_float64", *squares), np.float32)
    together = graph.node("Transpose", "dft/power_by_frame", narrow, perm=[1, 0, 2])
    clips = graph.node(
        "Concat", "dft/shape", graph.ints(-1), frames, graph.ints(kept * columns), axis=0
    )
    return graph.node("Reshape", "dft/spectrum", together, clips)


def _factors(length: int) -> tuple[int, int]:
    """Split a power of two into rows and columns, as equal as can be, never fewer rows."""
    columns = 2 ** (int(math.log2(length)) // 2)
    return length // columns, columns


def _cosines(
    graph: Graph,
    name: str,
    length: int,
    left: Int[np.ndarray, "..."],
    right: Int[np.ndarray, "..."],
    turn: object,
) -> str:
    """Add the nodes that give cos(2 pi (left * right + turn) / length), broadcast."""
    product = graph.node(
        "Mul",
        f"{name}_product",
        graph.constant(f"{name}_left", left.astype(np.int64)),
        graph.constant(f"{name}_right", right.astype(np.int64)),
    )
    turned = graph.node(
        "Add", f"{name}_phase", product, graph.constant(f"{name}_turn", np.array(turn, np.int64))
    )
    wrapped = graph.node("Mod", f"{name}_wrapped", turned, graph.ints(length))
    cosine = np.cos(2 * np.pi * np.arange(length) / length)
    return graph.node("Gather", f"{name}_values", graph.constant("dft/cosine", cosine), wrapped)
