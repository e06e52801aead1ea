"""Fixtures of the tests of drift."""

from tests.support.scenes.drift import answers, draw

__all__ = ["answers", "draw"]
