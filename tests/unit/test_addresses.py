"""What a name may lead to: public addresses, and an execution connects to those that were looked at alone."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from tests.support.connections import recorded
from tests.support.raw_servers import receiver, tunnels

from prebooking.adapters.aimharder.addresses import is_own_machine, is_public
from prebooking.adapters.aimharder.c_ares import Found, UnresolvedError, look_up
from prebooking.adapters.aimharder.resolver import PinnedResolver, Resolver
from prebooking.adapters.http11.client import HttpClient
from prebooking.adapters.http11.connection import Response
from prebooking_local.names import name_server

PUBLIC = ("93.184.216.34", "1.1.1.1", "8.8.8.8", "2606:4700::6810:84e5", "2001:4860:4860::8888", "64:ff9b::808:808")
NOT_PUBLIC = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"),
    *("fe80::1", "fe80::1%1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "100::1"),
    *("2002:7f00:1::", "2002:a00:1::", "2002:a9fe:a9fe::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1"),
    "2001:0:53aa:64c:0:fbff:f5ff:fffe",
)


@pytest.fixture
def names() -> dict[str, list[list[str]]]:
    """What the names lead to: the first look-up's addresses, the second's …"""
    return {}


def test_public_addresses_are_told_from_all_others() -> None:
    assert [address for address in PUBLIC if not is_public(ip_address(address))] == []
    assert [address for address in NOT_PUBLIC if is_public(ip_address(address))] == []


def test_only_what_no_label_can_spell_is_our_own_machine_by_its_name() -> None:
    assert all(is_own_machine(host) for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"))
    for host in ("2130706433", "0x7f000001", "127-0-0-1", "localhost.", "LOCALHOST", "10.0.0.1", "mygym", ""):
        assert not is_own_machine(host)


def resolving(
    names: dict[str, list[list[str]]], allowed: Callable[[IPv4Address | IPv6Address], bool] = is_public
) -> Resolver:
    async def look_up(host: str) -> Found:
        if host not in names:
            raise UnresolvedError(f"{host}: nowhere")
        return Found(tuple(names[host].pop(0)), ttl_s=0)

    return Resolver(look_up, allowed=allowed)


async def ask(
    url: str, resolver: Resolver, context: ssl.SSLContext | None = None, proxy: str | None = None
) -> Response:
    with closing(HttpClient(context or ssl.create_default_context(), proxy, PinnedResolver(resolver))) as client:
        return await asyncio.wait_for(client.ask("GET", url, []), 5)


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_name_that_leads_elsewhere_is_not_connected_to(names: dict[str, list[list[str]]], address: str) -> None:
    for found in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
        names["gym.test"] = [found, ["93.184.216.34"]]
        with recorded() as seen, capture_logs() as logged:
            with pytest.raises(httpx.ConnectError, match="where no gym can be"):
                await ask("https://gym.test/", resolving(names))
            assert seen.addresses == []
        [line] = [one for one in logged if one["event"] == "address_refused"]
        assert "gym.test leads to" in line["reason"]


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.1", "10.0.0.1", "[::ffff:127.0.0.1]", "[fe80::1]"])
async def test_an_address_that_is_spelled_out_is_looked_at_as_well(host: str) -> None:
    async with name_server() as servers:
        with recorded() as seen, pytest.raises(httpx.ConnectError):
            await ask(f"http://{host}:9/", Resolver(partial(look_up, servers=[servers.address])))
    assert seen.addresses == []


async def test_an_execution_connects_to_the_addresses_that_were_looked_at_until_its_end(
    names: dict[str, list[list[str]]],
) -> None:
    resolver = resolving(names, lambda address: str(address) == "127.0.0.1")  # for the gym of the test
    async with receiver() as gym:
        names["gym.test"] = [["127.0.0.1"], ["127.0.0.2"]]  # DNS rebinding
        with closing(HttpClient(ssl.create_default_context(), None, PinnedResolver(resolver))) as client:
            with recorded() as seen:
                for _ in range(3):
                    assert (await client.ask("GET", f"http://gym.test:{gym.port}/", [])).status == 200
                    gym.close_connections()
                    while client._connections[0][1].is_open:
                        await asyncio.sleep(0)
                    resolver._known.clear()  # as after some seconds
            assert seen.addresses == [("127.0.0.1", gym.port)] * 3
        assert names["gym.test"] == [["127.0.0.2"]]
        assert f"Host: gym.test:{gym.port}\r\n".encode() in gym.arrived[0]
        with pytest.raises(httpx.ConnectError, match=r"leads to 127\.0\.0\.2"):
            await ask(f"http://gym.test:{gym.port}/", resolver)


async def test_tls_asks_for_the_name_and_not_for_the_address(names: dict[str, list[list[str]]]) -> None:
    hello = bytearray()

    async def greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello.extend(await reader.read(4096))
        writer.close()

    async with await asyncio.start_server(greeted, "127.0.0.1", 0) as server:
        names["mygym.gyms.test"] = [["127.0.0.1"]]
        url = f"https://mygym.gyms.test:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(httpx.ConnectError):
            await ask(url, resolving(names, lambda _: True))
    assert b"mygym.gyms.test" in hello


async def test_an_address_that_does_not_answer_is_passed_over(names: dict[str, list[list[str]]]) -> None:
    async with receiver() as gym:
        names["gym.test"] = [["127.0.0.9", "127.0.0.1"]]  # nobody listens on the first
        assert (await ask(f"http://gym.test:{gym.port}/", resolving(names, lambda _: True))).status == 200


async def test_a_proxy_is_the_operators_choice_and_looks_the_gym_up_itself(
    names: dict[str, list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **more: Any) -> Any:
        return usual("127.0.0.1" if host == "proxy.internal" else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with receiver() as gym, tunnels(gym.port, as_proxy=True) as proxy:
        names["mygym.gyms.test"] = [["127.0.0.1"]]
        with recorded() as seen, pytest.raises(httpx.HTTPError):  # the gym of the test speaks no TLS
            await ask("https://mygym.gyms.test/", resolving(names), proxy=f"http://proxy.internal:{proxy.port}")
        assert proxy.connects == [b"CONNECT mygym.gyms.test:443 HTTP/1.1"]
        assert names["mygym.gyms.test"]
        assert "mygym.gyms.test" not in seen.lookups
