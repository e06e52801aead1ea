"""What a worker"s services are tested with: an executor, a model server and a database."""

from tests.support.scenes.bench import bench, module_bench

__all__ = ["bench", "module_bench"]
