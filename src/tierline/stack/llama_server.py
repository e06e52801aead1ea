"""llama.cpp's OpenAI-compatible server for one model, as a separate process.

`python -m tierline.stack.llama_server --alias NAME --port N`. It reads its key from
TIERLINE_LOCAL_API_KEY and binds to loopback by default. It has no web page and no list of running
requests, and writes nothing of a prompt to its log.
"""

import argparse
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from tierline.base.digits import whole
from tierline.stack.local_models.models import MODELS, SMOLLM2, ModelMissing, find

KEY_VARIABLE = "TIERLINE_LOCAL_API_KEY"
WAIT_POLICY = "OMP_WAIT_POLICY"
"""Waiting threads must sleep. By default they spin, and on a busy machine they then block the
thread that they wait for (12 answers: 244 s; with one thread 40 s)."""
CACHE_MIB = 64
"""Prompts cached beyond the slots'. Features take turns, and each begins with the same instructions
and examples (a fifth fewer prompt tokens in the demo; a prompt of SmolLM2's takes 10 MiB)."""
QUIET = 1  # llama.cpp's verbosity: errors only; from 4 on it prints prompts


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tierline.stack.llama_server")
    parser.add_argument("--alias", required=True, help="the name that requests use")
    parser.add_argument("--model", help="the GGUF file; not needed for a model that tierline knows")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=whole, required=True)
    parser.add_argument("--slots", type=whole, help="requests decoded at once")
    parser.add_argument("--context", type=whole, help="tokens a slot")
    parser.add_argument("--threads", type=whole, default=cores())
    options = parser.parse_args(argv)
    key = os.environ.get(KEY_VARIABLE, "")
    if not key:
        print(f"{KEY_VARIABLE} is not set: this server does not run without a key", file=sys.stderr)
        return 2
    defaults = MODELS.get(options.alias, SMOLLM2)
    slots = options.slots or defaults.slots
    context = options.context or defaults.context
    try:
        path = options.model or str(find(MODELS[options.alias]))
    except KeyError:
        print(f"{options.alias}: name its file with --model", file=sys.stderr)
        return 2
    except ModelMissing as error:
        print(error.message, file=sys.stderr)
        return 2

    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    try:
        server = _serve(options, path, key, slots, context * slots)
    except ImportError as error:
        print(
            f"the local model cannot start: {error}. It needs the system library libgomp"
            " (Debian and Ubuntu: apt-get install libgomp1; Fedora: dnf install libgomp)",
            file=sys.stderr,
        )
        return 2
    print(f"serving {options.alias} at {server.listening_address}", flush=True)
    stopping.wait()
    # The server's own shutdown waits for running requests. Ending them loses nothing.
    os._exit(0)


def _serve(options: argparse.Namespace, path: str, key: str, slots: int, context: int) -> Any:
    """The running server; `context` is in tokens, for all slots together."""
    os.environ.setdefault(WAIT_POLICY, "passive")  # read when the library is loaded
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.model_alias = {options.alias}
    params.hostnames = [options.host]
    params.port = options.port
    params.api_keys = [key]
    params.ui = False
    params.cors_origins = ""
    params.cors_credentials = False
    params.endpoint_slots = False
    params.offline = True
    params.verbosity = QUIET
    params.fit_params = False  # it would load the model twice, to check whether the context fits
    params.cache_ram_mib = CACHE_MIB
    params.n_parallel = slots
    params.n_ctx = context
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    return xllamacpp.Server(params)


def cores() -> int:
    """The processors that this process may use, at most 8: more do not speed up one small model."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), 8)
    return min(os.cpu_count() or 1, 8)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
