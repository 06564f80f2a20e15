"""What edge and central both need of paho's client."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the package comes with the extras of edge and central
    from paho.mqtt.client import Client


def release(client: "Client") -> None:
    """Close the sockets of a client whose network thread has ended.

    paho closes the pair with which its threads wake each other only when the client is collected, and one
    with callbacks waits long for that: each connection of a bad line would hold two descriptors.
    """
    client._reset_sockets()  # noqa: SLF001 - paho has no public name for it
