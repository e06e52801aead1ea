"""Fixtures of the tests of dispatching."""

from tests.support.scenes.dispatching import no_rescan, pool, two_models, version

__all__ = ["no_rescan", "pool", "two_models", "version"]
