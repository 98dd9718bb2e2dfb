"""semble over a folder: `python search_semble.py FOLDER`; without a folder it says whether its model is here.

It embeds with a model from a hub. Where that is neither in the hub's cache nor named by `SEMBLE_MODEL_NAME`, its weight
is put to nothing (`alpha=0`), and a model that says nothing stands in its place. Prints a line when the index is there;
then each line of the input is `[question, limit]`, and is answered by a line of `[path, first line, last line]`.
"""

import json
import sys
import tempfile

import numpy as np
from model2vec import StaticModel
from semble import SembleIndex
from semble.index.dense import load_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace


def has_model() -> bool:
    """Whether semble can embed."""
    try:
        load_model()
    except Exception:  # noqa: BLE001 - whatever the hub's client has to say: there is none
        return False
    return True


def main() -> None:
    model = has_model()
    if len(sys.argv) < 2:
        print("model" if model else "model-free")
        return
    with tempfile.TemporaryDirectory() as place:
        if not model:
            tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
            tokenizer.pre_tokenizer = Whitespace()
            StaticModel(np.ones((1, 2), dtype=np.float32), tokenizer).save_pretrained(place)
        index = SembleIndex.from_path(sys.argv[1], model_path=None if model else place)
        print("ready", flush=True)
        for line in sys.stdin:
            question, limit = json.loads(line)
            found = index.search(question, top_k=limit, alpha=None if model else 0.0)
            chunks = [result.chunk for result in found]
            print(json.dumps([(one.file_path, one.start_line, one.end_line) for one in chunks]), flush=True)


if __name__ == "__main__":
    main()
