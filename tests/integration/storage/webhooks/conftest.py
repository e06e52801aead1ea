"""What webhooks are tested with: jobs that end, endpoints and a receiver."""

from tests.support.scenes.webhooks import account, config, db, pool, receiver, scene, version

__all__ = ["account", "config", "db", "pool", "receiver", "scene", "version"]
