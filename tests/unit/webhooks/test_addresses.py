"""The guard: which URLs and addresses a webhook may reach."""

from ipaddress import ip_address, ip_network

import pytest

from tierline.base.errors import InvalidInput
from tierline.webhooks.addresses import (
    AddressRefused,
    PortRefused,
    Reach,
    Target,
    check_address,
    check_port,
    check_url,
    other_port,
    read_url,
)

EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.1.2.3",
        "169.254.1.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.9",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:808:808::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "2606:4700::5efe:127.0.0.1",
        "2606:4700::200:5efe:10.0.0.1",
        "2606:4700::5efe:808:808",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_an_address_that_is_not_global_unicast_is_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(ip_address(text))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "93.184.216.34", "100.63.0.1", "172.32.0.1", "2606:4700:4700::1111"]
)
def test_a_global_address_passes(text: str) -> None:
    check_address(ip_address(text))


def test_an_allowed_network_passes_and_its_neighbours_do_not() -> None:
    check_address(ip_address("127.0.0.1"), LOOPBACK)
    with pytest.raises(AddressRefused):
        check_address(ip_address("10.0.0.1"), LOOPBACK)


@pytest.mark.parametrize("text", ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"])
def test_an_allowed_network_does_not_allow_other_clothes_for_its_addresses(text: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(ip_address(text), EVERYWHERE)


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "fd00:ec2::254",
        "169.254.170.23",
        "fd00:ec2::23",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::ffff:0:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "2606:4700::5efe:a9fe:a9fe",
    ],
)
def test_a_metadata_service_is_refused_even_inside_an_allowed_network(text: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(ip_address(text), EVERYWHERE)


@pytest.mark.parametrize(
    "url",
    [
        "http://0177.0.0.1/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://0X7F000001/",
        "http://2130706433/",
        "http://127.1/",
        "http://00000177.0.0.1/",
        "http://127.0.0.1.0x0/",
        "http://0b1111111.0.0.1/",
        "http://127。0。0。1/",
        "http://127%2e0%2e0%2e1/",
        "http://[0:0:0:0:0:ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[::1%25lo]/",
        "http://[::ffff:0x7f.1]/",
        "http://1.1.1.1 &@127.0.0.1/",
        "http://127.0.0.1:80:80/",
        "http:\\\\127.0.0.1/",
        "http:/127.0.0.1/",
        "http:///127.0.0.1/",
        "http://@127.0.0.1/",
        "http://:@example.com/",
        "http://exam\u00adple.com/",
        "http://\u2488\u2488/",
        "http://metadata.google.internal./",
        "http://METADATA.GOOGLE.INTERNAL/",
        "http://instance-data.ec2.internal/",
        "http://metadata.azure.internal/",
        "http://127.0.1/",
        "http://0/",
        "http://8.8.8.010/",
        "http://8.8.8.8./",
        "http://8.8.8.256/",
        "http://8.8.8.8.8/",
        "http://name.0x08/",
        "http://name.7/",
        "http://localhost/",
        "http://LOCALHOST/",
        "http://intranet/",
        "http://localhost./",
        "http://a.localhost/",
        "http://db.internal/",
        "http://printer.local/",
        "http://nas.home.arpa/",
        "http://example.com./",
        "http://example..com/",
        "http://.example.com/",
        "http://-example.com/",
        "http://exa mple.com/",
        "http://１２７.０.０.１/",
        "http://①②⑦.0.0.1/",
        "http://bücher.example/",
        "http://example。com/",
        "http://127.0.0.1%2f@example.com/",
        "http://user@example.com/",
        "http://user:pass@example.com/",
        "http://example.com:80@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com\t/",
        "http://example.com\n/",
        " http://example.com/",
        "http://example.com/ x",
        "http://exa%6dple.com/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[fe80::1%25eth0]/",
        "http://[2606:4700::1",
        "http://[8.8.8.8]/",
        "http://[v1.x]/",
        "http://[]/",
        "http://",
        "http:///path",
        "http:example.com",
        "//example.com/",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:/",
        "http://example.com:8o/",
        "http://example.com/#part",
        "http://metadata.google.internal/",
        "http://metadata.goog/",
        "http://metadata/",
        "http://instance-data/",
        "http://169.254.169.254/latest/meta-data/",
        "http://" + "a" * 64 + ".com/",
        "http://example.com/" + "a" * 2048,
        "",
    ],
)
def test_an_odd_or_inner_url_is_refused_by_its_form(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url(url, path="/webhook_url")

    assert [problem.path for problem in refused.value.problems] == ["/webhook_url"]


def test_a_refusal_never_repeats_the_url_which_may_hold_a_token() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_url("http://10.0.0.1/hook?token=hunter2")

    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com", Target("https", "example.com", 443, "/")),
        ("https://example.com?a=b", Target("https", "example.com", 443, "/?a=b")),
        (
            "HTTPS://Hooks.Example.COM/In/X?q=1&r=a@b",
            Target("https", "hooks.example.com", 443, "/In/X?q=1&r=a@b"),
        ),
        ("http://example.com:8080/h", Target("http", "example.com", 8080, "/h")),
        ("http://xn--bcher-kva.example/", Target("http", "xn--bcher-kva.example", 80, "/")),
        ("http://8.8.8.8/", Target("http", "8.8.8.8", 80, "/")),
        (
            "http://[2606:4700:4700:0::1111]:8080/",
            Target("http", "2606:4700:4700::1111", 8080, "/"),
        ),
        ("https://a_b.example.com/x%20y", Target("https", "a_b.example.com", 443, "/x%20y")),
    ],
)
def test_a_plain_url_is_read_into_its_parts(url: str, target: Target) -> None:
    assert read_url(url) == target


def test_inner_names_may_be_used_where_the_operator_allows_a_network() -> None:
    assert read_url("http://receiver:9000/hook", LOOPBACK).host == "receiver"
    with pytest.raises(AddressRefused):
        read_url("http://metadata.google.internal/", LOOPBACK)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://example.com:80/", "example.com"),
        ("http://example.com:443/", "example.com:443"),
        ("https://[2606:4700:4700::1111]:8443/", "[2606:4700:4700::1111]:8443"),
    ],
)
def test_the_host_header_names_a_port_only_where_it_must(url: str, authority: str) -> None:
    assert read_url(url).authority == authority


@pytest.mark.parametrize("port", [22, 25, 6379, 8080, 8443])
@pytest.mark.parametrize("host", ["hooks.example.com", "8.8.8.8", "[2606:4700:4700::1111]"])
def test_a_port_that_is_not_listed_is_refused_and_the_setting_named(host: str, port: int) -> None:
    with pytest.raises(InvalidInput, match=r"TIERLINE_WEBHOOK_PORTS"):
        check_url(f"https://{host}:{port}/")


@pytest.mark.parametrize("port", [80, 443, 8443])
def test_both_usual_ports_and_those_that_are_listed_may_be_used(port: int) -> None:
    reach = Reach(ports=(8443,))
    for scheme in ("http", "https"):
        check_url(f"{scheme}://hooks.example.com:{port}/", reach)
    check_port(port, ip_address("8.8.8.8"), reach)


def test_an_allowed_network_has_every_port_and_the_rest_of_the_world_does_not() -> None:
    check_url("http://127.0.0.1:6379/", Reach(LOOPBACK))
    check_port(6379, ip_address("127.0.0.1"), Reach(LOOPBACK))
    for address in ("8.8.8.8", "2606:4700:4700::1111"):
        with pytest.raises(PortRefused):
            check_port(6379, ip_address(address), Reach(LOOPBACK))
    with pytest.raises(InvalidInput):
        check_url("http://8.8.8.8:6379/", Reach(LOOPBACK))


def test_a_name_on_another_port_is_decided_when_it_is_called_if_a_network_is_allowed() -> None:
    check_url("http://receiver.example.com:9000/", Reach(LOOPBACK))
    with pytest.raises(InvalidInput):
        check_url("http://receiver.example.com:9000/", Reach(ports=(9001,)))


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://hooks.example.com:8443/", 8443),
        ("https://hooks.example.com/", None),
        ("https://hooks.example.com:9443/", None),  # listed
        ("http://10.0.0.1:8443/", None),  # not fit for another reason
        ("http://[broken", None),
    ],
)
def test_a_url_that_only_its_age_excuses_is_told_by_its_port(url: str, port: int | None) -> None:
    assert other_port(url, Reach(ports=(9443,))) == port
