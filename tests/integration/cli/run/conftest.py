"""What batches are tested with: an API, a client and a worker played by hand."""

from tests.support.batch_scene import scene

__all__ = ["scene"]
