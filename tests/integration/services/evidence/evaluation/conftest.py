"""Fixtures of the tests of judges."""

from tests.support.scenes.judging import fresh, numbers

__all__ = ["fresh", "numbers"]
