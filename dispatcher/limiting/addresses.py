"""What the server says about a client's address, in `REMOTE_ADDR`, and what of it identifies the client."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

KNOWN_CLIENTS: Final = 512  # addresses remembered by each limiter; bounded, for a client may have any number of them


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in `text`, None where there is none.

    A port (``1.2.3.4:80``, ``[::1]:80``) and a zone (``fe80::1%eth0``) are cut off, and an IPv4-mapped address
    (``::ffff:1.2.3.4``, RFC 4291 section 2.5.5.2) is the IPv4 address: a server that listens on ``[::]`` sees those.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def client_key(remote_addr: str, ipv6_prefix: int) -> str:
    """What a client is counted under: its IPv4 address, its IPv6 network, or what the server says if that is neither.

    One IPv6 client can take any address of its network, as a rule a /64 (RFC 4291 section 2.5.4).
    """
    found = parse_address(remote_addr)
    if found is None:
        return remote_addr.strip()
    if isinstance(found, IPv4Address):
        return str(found)
    host_bits = 128 - ipv6_prefix
    return f"{IPv6Address(int(found) >> host_bits << host_bits)}/{ipv6_prefix}"


def belongs_to(cidrs: Iterable[str]) -> Callable[[str], bool]:
    """Whether a `REMOTE_ADDR` is in one of the networks; what is no address is in none."""
    networks = tuple(ip_network(cidr, strict=False) for cidr in cidrs)

    @lru_cache(maxsize=KNOWN_CLIENTS)
    def belongs(remote_addr: str) -> bool:
        found = parse_address(remote_addr)
        return found is not None and any(found in network for network in networks)

    return belongs
