"""Proxies, where the websockets library has them."""

from ..protocol.proxy import Proxy, environment_proxy, parse_proxy

__all__ = ["Proxy", "get_proxy", "parse_proxy"]

get_proxy = environment_proxy
