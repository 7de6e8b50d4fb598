"""Benchmarks: Linnet and a peer take turns in one run, so that both see the same machine.

    frontend | train | infer -> Comparison (a value a turn, theirs and ours) -> table, JSON

What a turn measures stands in the module of each benchmark, what was tried and dropped in TRIED.md.
"""
