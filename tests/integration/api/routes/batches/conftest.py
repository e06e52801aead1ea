"""What batches are tested with: an API, a client and a worker played by hand."""

from tests.support.scenes.batches import scene

__all__ = ["scene"]
