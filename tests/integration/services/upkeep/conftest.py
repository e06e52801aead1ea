"""What the sweep is tested with: jobs whose content holds a secret."""

from tests.support.retention import kept

__all__ = ["kept"]
