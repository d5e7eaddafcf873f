from __future__ import annotations

import pytest

from dispatcher.limiting.addresses import belongs_to, client_key


@pytest.mark.parametrize(
    ("remote_addr", "key"),
    [
        pytest.param("1.2.3.4", "1.2.3.4", id="IPv4"),
        pytest.param("1.2.3.4:5678", "1.2.3.4", id="IPv4 with a port"),
        pytest.param("::ffff:1.2.3.4", "1.2.3.4", id="IPv4 mapped into IPv6"),
        pytest.param("[::ffff:1.2.3.4]:80", "1.2.3.4", id="mapped, with a port"),
        pytest.param("::FFFF:102:304", "1.2.3.4", id="mapped, in hexadecimal"),
        pytest.param("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", id="IPv6"),
        pytest.param("2001:db8:1:2::ffff", "2001:db8:1:2::/64", id="IPv6 of the same network"),
        pytest.param("[2001:db8:1:2::1]:443", "2001:db8:1:2::/64", id="IPv6 with a port"),
        pytest.param("[::1]", "::/64", id="IPv6 in brackets"),
        pytest.param("fe80::1%eth0", "fe80::/64", id="IPv6 with a zone"),
        pytest.param(" 1.2.3.4 ", "1.2.3.4", id="spaces around"),
        pytest.param("", "", id="unix socket"),
        pytest.param("localhost", "localhost", id="no address"),
        pytest.param("1.2.3.4.5:1:2", "1.2.3.4.5:1:2", id="nonsense is its own key"),
    ],
)
def test_a_client_is_known_by_one_key_however_its_address_is_written(remote_addr: str, key: str) -> None:
    assert client_key(remote_addr, 64) == key


@pytest.mark.parametrize(("prefix", "key"), [(128, "2001:db8::1/128"), (48, "2001:db8::/48"), (1, "::/1")])
def test_the_length_of_an_ipv6_network_is_an_option(prefix: int, key: str) -> None:
    assert client_key("2001:db8::1", prefix) == key


@pytest.mark.parametrize(
    ("remote_addr", "inside"),
    [
        pytest.param("10.1.2.3", True, id="inside"),
        pytest.param("10.1.2.3:99", True, id="inside, with a port"),
        pytest.param("::ffff:10.1.2.3", True, id="inside, mapped"),
        pytest.param("11.1.2.3", False, id="outside"),
        pytest.param("2001:db8::5", True, id="IPv6 inside"),
        pytest.param("2001:db9::5", False, id="IPv6 outside"),
        pytest.param("", False, id="unix socket"),
        pytest.param("10.evil", False, id="no address"),
    ],
)
def test_a_network_has_its_addresses_and_no_others(remote_addr: str, inside: bool) -> None:
    assert belongs_to(["10.0.0.0/8", "2001:db8::/32"])(remote_addr) is inside
