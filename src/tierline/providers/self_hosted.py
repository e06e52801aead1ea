"""Self-hosted servers with Chat Completions: vLLM, llama.cpp, and others under a chosen name.

`vllm:` is at VLLM_BASE_URL and `llamacpp:` at LLAMACPP_BASE_URL (keys: VLLM_API_KEY and
LLAMA_API_KEY, as their servers name them). TIERLINE_OPENAI_COMPATIBLE names others. vLLM guides
decoding by any JSON Schema and reports up to 20 logprobs, llama.cpp up to 500. A server of unknown
kind is treated like OpenAI's.
"""

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from tierline.base.settings import Settings
from tierline.features.model import EFFORTS, SERVICE_TIERS
from tierline.providers.capabilities import with_catalogue
from tierline.providers.chat_completions import Dialect, ask
from tierline.providers.http.transport import Transport
from tierline.providers.schemas import as_it_is
from tierline.providers.types import (
    Capabilities,
    Completion,
    CompletionRequest,
    Provider,
    require,
)

VLLM = Dialect(schema=as_it_is)
LLAMA_CPP = Dialect(schema=as_it_is)
UNKNOWN = Dialect()
VLLM_CAN = Capabilities(
    most_logprobs=20,  # its --max-logprobs
    efforts=("low", "medium", "high"),
)
LLAMA_CPP_CAN = Capabilities(most_logprobs=500)
UNKNOWN_CAN = Capabilities(most_logprobs=20, efforts=EFFORTS, service_tiers=SERVICE_TIERS)


class SelfHosted:
    """One server, under the name that features use."""

    def __init__(
        self,
        name: str,
        base_url: str | None,
        key: SecretStr | None,
        dialect: Dialect,
        can: Capabilities,
        max_answer_bytes: int,
        setting: str,
    ) -> None:
        """`setting` is the name of the setting with the address."""
        self._name = name
        self._setting = setting
        self._base_url = base_url
        self.dialect = dialect
        self._can = can
        headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        self._transport = Transport(base_url or "", headers, max_answer_bytes, setting=setting)

    def missing(self) -> str | None:
        return None if self._base_url else f"{self._setting} is not set"

    def capabilities(self, model: str) -> Capabilities:
        return with_catalogue(self._name, model, self._can)

    def complete(self, request: CompletionRequest) -> Completion:
        require(self.missing())
        return ask(self._transport, request, self.dialect, self.capabilities(request.model.model))

    def close(self) -> None:
        self._transport.close()


def vllm(settings: Settings) -> SelfHosted:
    return SelfHosted(
        "vllm",
        settings.vllm_base_url,
        settings.vllm_api_key,
        VLLM,
        VLLM_CAN,
        settings.max_answer_bytes,
        "VLLM_BASE_URL",
    )


def llama_cpp(settings: Settings) -> SelfHosted:
    return SelfHosted(
        "llamacpp",
        settings.llamacpp_base_url,
        settings.llamacpp_api_key,
        LLAMA_CPP,
        LLAMA_CPP_CAN,
        settings.max_answer_bytes,
        "LLAMACPP_BASE_URL",
    )


def named(settings: Settings) -> Mapping[str, Callable[[Settings], Provider]]:
    """The servers that TIERLINE_OPENAI_COMPATIBLE names."""

    def maker(name: str) -> Callable[[Settings], Provider]:
        def make(settings: Settings) -> Provider:
            url, key = settings.compatible[name]
            return SelfHosted(
                name,
                url,
                key,
                UNKNOWN,
                UNKNOWN_CAN,
                settings.max_answer_bytes,
                "TIERLINE_OPENAI_COMPATIBLE",
            )

        return make

    return {name: maker(name) for name in settings.compatible}
