"""One try at a receiver on loopback: what is called, what is refused, what is cut."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fake_servers.webhook_receiver import (
    Manner,
    Receiver,
    break_in_the_status,
    drip_body,
    drip_headers,
    endless_informational,
    flood_body,
    flood_headers,
    hang,
    receiving,
    status,
)
from tests.support.waiting import DEADLINE_S
from tierline.base.network.deadline_http import DeadlineTransport
from tierline.webhooks import call
from tierline.webhooks.addresses import Address, AddressRefused, Reach, read_url
from tierline.webhooks.schedule import Met

LOOPBACK = (ip_network("127.0.0.0/8"),)
BODY = b'{"type":"job.completed"}'


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def elsewhere() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


class Names:
    """A resolver that gives its answers one after the other, and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = [[ip_address(text) for text in answer] for answer in answers]
        self.asked: list[str] = []

    def __call__(self, name: str, port: int, within_s: float) -> Sequence[Address]:
        self.asked.append(name)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


def post(url: str, resolve: call.Resolve | None = None, timeout_s: float = 30.0) -> Met:
    headers = {"webhook-id": "msg_1"}
    return call.post(
        url, headers, BODY, timeout_s=timeout_s, reach=Reach(LOOPBACK), resolve=resolve
    )


def test_the_exact_bytes_arrive_with_their_headers(receiver: Receiver) -> None:
    assert post(receiver.url + "?a=%20b") == Met(204)

    (request,) = receiver.requests
    assert request.body == BODY
    assert request.path == "/hook?a=%20b"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(BODY))


def test_a_name_is_looked_up_once_and_that_address_is_called(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])

    assert post(f"http://hooks.example.com:{receiver.port}/x", names) == Met(204)

    assert names.asked == ["hooks.example.com"]
    assert receiver.requests[0].headers["host"] == f"hooks.example.com:{receiver.port}"


def test_a_name_that_turns_inward_is_refused_before_anything_is_sent(receiver: Receiver) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    url = f"http://hooks.example.com:{receiver.port}/x"
    post(url, names)

    met = post(url, names)

    assert met.status is None
    assert "not a global one" in str(met.error)
    assert len(receiver.requests) == 1


def test_one_refused_address_among_good_ones_refuses_the_name(receiver: Receiver) -> None:
    names = Names(["127.0.0.1", "192.168.1.1"])

    met = post(f"http://hooks.example.com:{receiver.port}/x", names)

    assert "not a global one" in str(met.error)
    assert receiver.requests == []


def test_loopback_is_refused_unless_its_network_is_allowed(receiver: Receiver) -> None:
    met = call.post(receiver.url, {}, BODY, timeout_s=30.0, reach=Reach())

    assert met.status is None
    assert receiver.requests == []


def test_the_next_address_of_a_name_is_tried_when_one_takes_no_connection(
    receiver: Receiver,
) -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])

    assert post(f"http://hooks.example.com:{receiver.port}/x", names) == Met(204)


def test_a_name_without_an_address_is_a_failed_try() -> None:
    met = post("http://hooks.example.com/x", Names([]))

    assert met == Met(None, "the host name could not be looked up")


def test_a_look_up_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(DEADLINE_S) and [])
    try:
        met = post("http://hooks.example.com/x", timeout_s=0.2)
    finally:
        over.set()

    assert met == Met(None, "no answer within 0.2 s")


def test_the_systems_resolver_gives_each_address_once() -> None:
    assert ip_address("127.0.0.1") in call.look_up("localhost", 80, 10.0)
    with pytest.raises(OSError):
        call.look_up("." * 300, 80, 10.0)


def test_a_redirect_is_not_followed(receiver: Receiver, elsewhere: Receiver) -> None:
    receiver.manner = status(307, location=elsewhere.url)

    met = post(receiver.url)

    assert met.status == 307
    assert elsewhere.requests == []


def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, elsewhere: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, elsewhere.url)
    call.transport.cache_clear()

    assert post(receiver.url) == Met(204)
    assert elsewhere.requests == []


def test_a_cookie_is_not_brought_back(receiver: Receiver) -> None:
    receiver.manner = status(204, set_cookie="who=you")

    post(receiver.url)
    post(receiver.url)

    assert "cookie" not in receiver.requests[1].headers


@pytest.mark.parametrize(
    "manner", [hang, drip_headers, endless_informational, flood_headers, break_in_the_status]
)
def test_a_receiver_that_never_answers_is_cut_whatever_it_says_meanwhile(
    receiver: Receiver, manner: Manner
) -> None:
    receiver.manner = manner

    met = post(receiver.url, timeout_s=0.5)

    assert met.status is None
    assert met.error in (
        "no answer within 0.5 s",
        "the connection broke or did not speak HTTP",
    )


def test_a_tls_handshake_that_never_comes_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        met = post(f"https://127.0.0.1:{port}/", timeout_s=0.5)

    assert met == Met(None, "no answer within 0.5 s")


def test_a_name_that_answers_otherwise_each_time_is_asked_once_a_try_and_checked_each_time(
    receiver: Receiver,
) -> None:
    inward = ["169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "100.64.0.1", "0.0.0.0"]
    names = Names(["127.0.0.1"], *([address] for address in inward), ["127.0.0.1"])
    url = f"http://hooks.example.com:{receiver.port}/x"

    met = [post(url, names).status for _ in range(len(inward) + 2)]

    assert met == [204, *([None] * len(inward)), 204]
    assert len(names.asked) == len(inward) + 2
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["http://169.254.169.254/", "http://127.0.0.1:{port}/", "//[::1]/"])
def test_no_redirect_leads_anywhere(
    receiver: Receiver, elsewhere: Receiver, code: int, to: str
) -> None:
    receiver.manner = status(code, location=to.format(port=elsewhere.port))

    assert post(receiver.url).status == code
    assert elsewhere.requests == []
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("manner", [drip_body, flood_body])
def test_a_status_counts_though_its_body_never_ends(receiver: Receiver, manner: Manner) -> None:
    receiver.manner = manner

    assert post(receiver.url, timeout_s=1.0) == Met(200)


def test_a_retry_after_is_reported(receiver: Receiver) -> None:
    receiver.manner = status(503, retry_after="120")

    assert post(receiver.url) == Met(503, "the receiver answered 503", 120.0)


def test_nothing_of_an_answer_is_kept(receiver: Receiver) -> None:
    receiver.manner = status(500, b"an inner secret", x_inner="another")

    assert post(receiver.url) == Met(500, "the receiver answered 500")


def test_a_closed_port_is_a_failed_try() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        assert post(f"http://127.0.0.1:{port}/") == Met(None, "no connection could be made")


def test_a_server_that_does_not_speak_http_is_a_failed_try(receiver: Receiver) -> None:
    def greet(request: Any) -> None:
        request.wfile.write(b"220 mail.example.com ESMTP\r\n")

    receiver.manner = greet

    assert post(receiver.url) == Met(None, "the connection broke or did not speak HTTP")


class Encrypted:
    """A receiver behind TLS with a certificate for `hooks.example.com`, and who was asked for."""

    def __init__(self, receiver: Receiver, folder: Path) -> None:
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=hooks.example.com", "-keyout", str(key)),
                *("-addext", "subjectAltName=DNS:hooks.example.com"),
                *("-out", str(self.certificate)),
            ],
            check=True,
            capture_output=True,
        )
        self.names: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        context.sni_callback = lambda _, name, __: self.names.append(name)
        receiver.socket = context.wrap_socket(receiver.socket, server_side=True)


@pytest.fixture
def encrypted(receiver: Receiver, tmp_path: Path) -> Encrypted:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make a certificate")
    return Encrypted(receiver, tmp_path)


def test_a_certificate_that_nobody_vouches_for_is_refused(
    receiver: Receiver, encrypted: Encrypted
) -> None:
    met = post(f"https://hooks.example.com:{receiver.port}/x", Names(["127.0.0.1"]))

    assert met == Met(None, "the receiver's certificate could not be verified")
    assert encrypted.names == ["hooks.example.com"]
    assert receiver.requests == []


def test_tls_verifies_the_name_and_not_the_address(
    receiver: Receiver, encrypted: Encrypted, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(cafile=str(encrypted.certificate))
    transport = DeadlineTransport(httpx.Limits(max_keepalive_connections=0), context)
    monkeypatch.setattr(call, "transport", lambda: transport)

    right = post(f"https://hooks.example.com:{receiver.port}/x", Names(["127.0.0.1"]))
    other = post(f"https://other.example.com:{receiver.port}/x", Names(["127.0.0.1"]))

    assert right == Met(204)
    assert other == Met(None, "the receiver's certificate could not be verified")


@pytest.mark.parametrize("found", [["8.8.8.8"], ["127.0.0.1", "8.8.8.8"], ["2606:4700::1"]])
def test_a_name_on_another_port_must_lie_in_an_allowed_network_altogether(
    receiver: Receiver, found: list[str]
) -> None:
    """Refused before anything is dialled: nobody learns which ports of a host are open."""
    met = post(f"http://hooks.example.com:{receiver.port}/", Names(found))

    assert met.status is None
    assert "TIERLINE_WEBHOOK_PORTS" in str(met.error)
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("reach", "any_port"), [(Reach(ports=(8443,)), False), (Reach(LOOPBACK), True)]
)
def test_a_listed_port_and_one_given_before_ports_were_limited_are_called(
    reach: Reach, any_port: bool
) -> None:
    target = read_url("https://hooks.example.com:8443/")
    names = Names(["8.8.8.8"])

    assert call.checked_addresses(target, 1.0, reach, any_port, names) == [ip_address("8.8.8.8")]
    with pytest.raises(AddressRefused):
        call.checked_addresses(target, 1.0, Reach(LOOPBACK), False, names)
