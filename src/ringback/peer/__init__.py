"""The other half of every exchange, as a server: HTTP for requests, sockets for flows, keys, limits."""

from ringback.peer.serving import Serving, serve

__all__ = ["Serving", "serve"]
