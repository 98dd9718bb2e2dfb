"""What a host runs to ask another one, on its own standard library: prints one JSON object.

    client.py chat URL [--key-file FILE] [--streams N] [--until-file FILE] [--tokens N]
    client.py tcp ADDRESS:PORT…

`chat` keeps N streams under way until the file is there, or asks once for each where none is named, and tells how each
ended; `tcp` tells which connections are accepted.
"""

import argparse
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(dest="verb", required=True)
    chat = verbs.add_parser("chat")
    chat.add_argument("url")
    chat.add_argument("--key-file")
    chat.add_argument("--streams", type=int, default=1)
    chat.add_argument("--until-file", type=Path)
    chat.add_argument("--tokens", type=int, default=16)
    tcp = verbs.add_parser("tcp")
    tcp.add_argument("targets", nargs="+")
    options = parser.parse_args()
    print(json.dumps(connections(options.targets) if options.verb == "tcp" else load(options)), flush=True)


def connections(targets: list[str]) -> dict[str, bool]:
    with ThreadPoolExecutor(len(targets)) as pool:
        return dict(zip(targets, pool.map(accepted, targets), strict=True))


def accepted(target: str) -> bool:
    address, _, port = target.rpartition(":")
    try:
        socket.create_connection((address.strip("[]"), int(port)), timeout=4).close()
    except OSError:
        return False
    return True


def load(options: argparse.Namespace) -> dict[str, object]:
    key = Path(options.key_file).read_text(encoding="utf-8").strip() if options.key_file else ""
    last = time.monotonic() + 240
    answers: list[dict[str, object]] = []

    def keep_asking() -> None:
        while True:
            answers.append(ask(options.url, key, options.tokens))
            if options.until_file is None or options.until_file.exists() or time.monotonic() > last:
                return

    threads = [threading.Thread(target=keep_asking) for _ in range(options.streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lost = [answer for answer in answers if not answer["whole"]]
    return {"asked": len(answers), "lost": lost, "slowest_s": max(float(str(a["seconds"])) for a in answers)}


def ask(url: str, key: str, tokens: int) -> dict[str, object]:
    """One streamed answer; it is whole when it ended as the protocol says, without an error event."""
    body = {
        "model": "default",
        "messages": [{"role": "user", "content": "Count from one to fifty."}],
        "max_tokens": tokens,
        "stream": True,
    }
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    began = time.monotonic()
    status, text = 0, ""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    except OSError as error:
        text = f"{type(error).__name__}: {error}"
    return {
        "status": status,
        "whole": status == 200 and text.endswith("data: [DONE]\n\n") and '"error"' not in text,
        "end": text[-300:],
        "seconds": round(time.monotonic() - began, 3),
    }


if __name__ == "__main__":
    main()
