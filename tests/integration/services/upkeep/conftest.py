"""What the sweep is tested with: jobs whose content holds a secret."""

from tests.support.database.retention import kept

__all__ = ["kept"]
