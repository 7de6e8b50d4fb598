"""Linnet: a small-footprint speech recogniser and keyword spotter."""

__version__ = "0.1.0"
