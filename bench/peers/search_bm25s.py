"""Raw BM25 over line windows: `python search_bm25s.py FOLDER`.

bm25s with its own tokenizer, stop words and parameters. Prints a line when the index is there; then each line of the
input is `[question, limit]`, and is answered by a line of `[path, first line, last line]`, best first.
"""

import json
import sys
from pathlib import Path

import bm25s

WINDOW = 40


def main() -> None:
    folder = Path(sys.argv[1])
    places: list[tuple[str, int, int]] = []
    texts: list[str] = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        lines = file.read_text(encoding="utf-8").split("\n")
        for start in range(0, len(lines), WINDOW):
            some = lines[start : start + WINDOW]
            places.append((file.relative_to(folder).as_posix(), start + 1, start + len(some)))
            texts.append("\n".join(some))
    retriever = bm25s.BM25()
    retriever.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    print("ready", flush=True)
    for line in sys.stdin:
        question, limit = json.loads(line)
        tokens = bm25s.tokenize([question], stopwords="en", show_progress=False, return_ids=False)
        found: list[tuple[str, int, int]] = []
        if tokens[0]:
            numbers, scores = retriever.retrieve(tokens, k=min(limit, len(texts)), show_progress=False)
            found = [places[number] for number, score in zip(numbers[0], scores[0], strict=True) if score > 0]
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
