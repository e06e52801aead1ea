"""Fixtures of the tests of backfill."""

from tests.support.scenes.backfill import bench

__all__ = ["bench"]
