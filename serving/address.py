"""Address: the ADDRESS:PORT that the front listens on, in nginx's form."""

import ipaddress
import socket
from urllib.parse import urlsplit

from serving.instance import StartError


def is_loopback(listen: str) -> bool:
    """Whether only this machine can reach it."""
    host = urlsplit(f"//{listen}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_free(listen: str) -> None:
    """See that it can be listened on: nginx would try again and again.

    Raises:
        StartError: it cannot.
    """
    address = urlsplit(f"//{listen}")
    try:
        if not (address.hostname and address.port):
            raise ValueError("there is no port")
        found = socket.getaddrinfo(address.hostname, address.port, type=socket.SOCK_STREAM)
        with socket.socket(found[0][0]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[0][4])
    except (OSError, ValueError) as err:
        raise StartError(f"cannot listen on {listen} (it is ADDRESS:PORT): {err}") from err


def local_url(listen: str) -> str:
    """How this machine itself reaches it: on every address means on loopback too."""
    return "http://" + listen.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
