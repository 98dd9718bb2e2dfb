"""What a host runs to listen on many ports of many addresses: `listener.py tcp:PORT… udp:PORT… ADDRESS…`.

A port that is taken is left to the service that has it; whatever else keeps one from being listened on ends this.
"""

import errno
import selectors
import socket
import sys

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def main(words: list[str]) -> None:
    ports = [word.split(":") for word in words if word[:4] in ("tcp:", "udp:")]
    with selectors.DefaultSelector() as selector:
        for address in (word for word in words if word[:4] not in ("tcp:", "udp:")):
            for protocol, port in ports:
                listening = bound(address, int(port), KINDS[protocol])
                if listening is not None:
                    selector.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                answer(key.fileobj)  # pyright: ignore[reportArgumentType] - what was registered


def bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket | None:
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address, port))
        if kind == socket.SOCK_STREAM:
            listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return listening


def answer(listening: socket.socket) -> None:
    if listening.type == socket.SOCK_STREAM:
        listening.accept()[0].close()
    else:
        data, sender = listening.recvfrom(2048)
        listening.sendto(data, sender)


if __name__ == "__main__":
    main(sys.argv[1:])
