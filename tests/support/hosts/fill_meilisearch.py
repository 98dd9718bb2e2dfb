"""Index source lines in Meilisearch, inside a host, and wait until all are in: URL, MASTER KEY, FOLDER, DOCUMENTS.

The settings are those that searching code asks for, and that keep the index small.
"""

import itertools
import json
import sys
import threading
import time
import urllib.request
from pathlib import Path

url, key, folder, number = sys.argv[1:]
SETTINGS = {
    "searchableAttributes": ["names", "text"],
    "typoTolerance": {"enabled": False},
    "prefixSearch": "disabled",
    "facetSearch": False,
    "proximityPrecision": "byAttribute",
}
BATCH = 2000
LINES = 30


def call(method, path, body=None):
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode() if body else None, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def done(task):
    pause, until = threading.Event(), time.monotonic() + 120
    while (state := call("GET", f"/tasks/{task['taskUid']}"))["status"] in ("enqueued", "processing"):
        assert time.monotonic() < until, state
        pause.wait(0.2)
    assert state["status"] == "succeeded", state


def chunks():
    for path in itertools.cycle(sorted(Path(folder).rglob("*.py"))):
        lines = path.read_text().splitlines()
        for start in range(0, len(lines), LINES):
            yield {"names": path.stem, "text": "\n".join(lines[start : start + LINES])}


done(call("POST", "/indexes", {"uid": "filled", "primaryKey": "id"}))
done(call("PATCH", "/indexes/filled/settings", SETTINGS))
documents = ({"id": n, **chunk} for n, chunk in zip(range(int(number)), chunks(), strict=False))
for batch in itertools.batched(documents, BATCH):
    done(call("POST", "/indexes/filled/documents", list(batch)))
print(json.dumps(call("GET", "/indexes/filled/stats")))
