"""What a host runs to ask another one, on its own standard library: prints one JSON object.

    client.py chat URL [--key-file FILE] [--streams N] [--until-file FILE] [--tokens N] [--begun-file FILE]
    client.py tcp ADDRESS:PORT…
    client.py udp ADDRESS:PORT…

`chat` keeps N streams under way until the file is there, or asks once for each where none is named, and tells how each
ended and when its pieces came; it makes the other file with the first piece. `tcp` tells which connections are
accepted, `udp` at which ports something answers to STUN's question.
"""

import argparse
import json
import os
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WITHIN_S = 4


def main() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    chat = verbs.add_parser("chat")
    chat.add_argument("url")
    chat.add_argument("--key-file")
    chat.add_argument("--streams", type=int, default=1)
    chat.add_argument("--until-file", type=Path)
    chat.add_argument("--tokens", type=int, default=16)
    chat.add_argument("--begun-file", type=Path)
    for protocol in ("tcp", "udp"):
        verbs.add_parser(protocol).add_argument("targets", nargs="+")
    options = parser.parse_args()
    told = load(options) if options.verb == "chat" else connections(options.targets, options.verb)
    print(json.dumps(told), flush=True)


def connections(targets: list[str], protocol: str) -> dict[str, bool]:
    with ThreadPoolExecutor(len(targets)) as pool:
        return dict(zip(targets, pool.map(accepted if protocol == "tcp" else answered, targets), strict=True))


def accepted(target: str) -> bool:
    address, _, port = target.rpartition(":")
    try:
        socket.create_connection((address.strip("[]"), int(port)), timeout=WITHIN_S).close()
    except OSError:
        return False
    return True


def answered(target: str) -> bool:
    address, _, port = target.rpartition(":")
    address = address.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:  # a datagram may be lost
            try:
                asking.connect((address, int(port)))
                asking.send(binding_request())
                asking.recv(2048)
            except TimeoutError:
                continue
            except OSError:
                return False
            return True
    return False


def binding_request() -> bytes:
    """What Tailscale's STUN servers answer to, and no other question (tailscale.com/net/stun)."""
    software = struct.pack("!HH", 0x8022, 8) + b"tailnode"
    head = struct.pack("!HHI", 1, len(software) + 8, 0x2112A442) + os.urandom(12) + software
    return head + struct.pack("!HHI", 0x8028, 4, zlib.crc32(head) ^ 0x5354554E)


def load(options: argparse.Namespace) -> dict[str, object]:
    key = Path(options.key_file).read_text(encoding="utf-8").strip() if options.key_file else ""
    last = time.monotonic() + 240
    answers: list[dict[str, object]] = []

    def keep_asking() -> None:
        while True:
            answers.append(ask(options.url, key, options.tokens, options.begun_file))
            if options.until_file is None or options.until_file.exists() or time.monotonic() > last:
                return

    threads = [threading.Thread(target=keep_asking) for _ in range(options.streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost = [answer for answer in answers if not answer["whole"]]
    return {"asked": len(answers), "lost": lost, "answers": answers}


def ask(url: str, key: str, tokens: int, begun: Path | None) -> dict[str, object]:
    """One streamed answer; it is whole when it ended as the protocol says, without an error event.

    Times are the monotonic clock's, which all hosts on one machine share.
    """
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": "Count from one to fifty."}],
        "max_tokens": tokens,
        "ignore_eos": True,  # exactly so many
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    began = time.monotonic()
    status, text, came = 0, "", list[float]()
    usage: dict[str, int] | None = None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as answer:
            status = answer.status
            for line in map(bytes.decode, answer):
                text += line
                event = json.loads(line[6:]) if line.startswith("data: {") else {}
                usage = event.get("usage") or usage
                if any(choice.get("delta", {}).get("content") for choice in event.get("choices", [])):
                    came.append(round(time.monotonic(), 3))
                    if begun is not None:
                        begun.touch()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    except OSError as error:
        text = f"{type(error).__name__}: {error}"
    return {
        "status": status,
        "whole": status == 200 and text.endswith("data: [DONE]\n\n") and '"error"' not in text,
        "end": text[-300:],
        "tokens": usage["completion_tokens"] if usage else None,
        "began": began,
        "came": came,
        "ended": time.monotonic(),
    }


if __name__ == "__main__":
    main()
