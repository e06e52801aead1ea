"""How much of a shared, slow thing the strangers of one network address may use.

An address has a few turns at once, and a share of the time: SECONDS in a minute. So whoever begins
many turns, or slow ones, leaves most of them to the others. Pure: the caller passes in the clock.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address

AT_ONCE = 2  # turns of one address
SECONDS = 20.0  # that the turns of one address may take together …
WINDOW_S = 60.0  # … in this time
MOST_ADDRESSES = 10_000  # that are remembered
_WITH_PORT = re.compile(r"(?:\[([^\]]*)\]|([0-9.]+))(?::[0-9]+)?")  # as some proxies write it
_IPV6_NETWORK = 64  # bits: a customer of a provider has as many addresses as they like behind these


@dataclass
class _Use:
    now: int  # turns
    spent_s: float
    at_s: float


class AddressTurns:
    """The turns of all addresses. One per process."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._uses)

    def begin(self, address: str, now_s: float) -> bool:
        """Begin a turn. False: the address has used up what it may for now."""
        use = self._uses.get(address)
        if use is None:
            self._forget_some(now_s)
            use = self._uses[address] = _Use(0, 0.0, now_s)
        _recover(use, now_s)
        if use.now >= AT_ONCE or use.spent_s >= SECONDS:
            return False
        use.now += 1
        return True

    def end(self, address: str, took_s: float, now_s: float) -> None:
        """End a turn that `begin` began."""
        use = self._uses[address]
        _recover(use, now_s)
        use.now -= 1
        use.spent_s += took_s

    def _forget_some(self, now_s: float) -> None:
        """Make room: first addresses that have nothing to remember, then all without a turn."""
        for most_s in (0.0, SECONDS * MOST_ADDRESSES):
            if len(self._uses) < MOST_ADDRESSES:
                return
            for use in self._uses.values():
                _recover(use, now_s)
            self._uses = {
                address: use
                for address, use in self._uses.items()
                if use.now or use.spent_s > most_s
            }


def _recover(use: _Use, now_s: float) -> None:
    passed_s = max(0.0, now_s - use.at_s)
    use.spent_s = max(0.0, use.spent_s - passed_s * SECONDS / WINDOW_S)
    use.at_s = now_s


def network_of(peer: str, forwarded: str, proxies: int) -> str:
    """Whose turns these are: an IPv4 address, or an IPv6 network.

    `peer`: who holds the connection. `forwarded`: the header X-Forwarded-For, of which only the
    last `proxies` entries are believed, because callers write the others themselves.
    """
    entries = [one.strip() for one in forwarded.split(",") if one.strip()]
    # A request with fewer entries came past a proxy, so that none of them can be believed.
    chosen = entries[-proxies] if 0 < proxies <= len(entries) else peer
    parts = _WITH_PORT.fullmatch(chosen)
    try:
        address = ip_address(parts[1] or parts[2] if parts else chosen)
    except ValueError:
        return chosen[:100]
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    if address.version == 6:
        return f"{ip_address(int(address) >> (128 - _IPV6_NETWORK) << (128 - _IPV6_NETWORK))}/64"
    return str(address)
