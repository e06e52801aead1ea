"""Where each provider is called: hosts, never a path or key."""

from tierline.base.settings import Settings
from tierline.services.features.provider_hosts import provider_hosts


def test_hosts_are_those_of_the_settings_without_paths() -> None:
    hosts = provider_hosts(
        Settings(
            OPENAI_BASE_URL="https://models.example.com:8443/secret-path/v1",
            local_url="a=http://127.0.0.1:8001/v1,b=http://127.0.0.1:8001/v1,http://127.0.0.1:8002",
            GOOGLE_CLOUD_LOCATION="europe-west4",
        )
    )
    assert hosts["openai"] == ["models.example.com:8443"]
    assert hosts["local"] == ["127.0.0.1:8001", "127.0.0.1:8002"]
    assert hosts["vertex"] == ["europe-west4-aiplatform.googleapis.com"]
    assert hosts["azure"] == []
    assert "micro" not in hosts
