"""Random fleets that can work, for property tests."""

from typing import Any

from hypothesis import strategies as st

Data = dict[str, Any]

LABELS = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,6})?", fullmatch=True)
MODEL_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9._:-]{0,12}", fullmatch=True)


@st.composite
def fleets(draw: st.DrawFn) -> Data:
    """A fleet that can work, as plain data."""
    names = iter(draw(st.lists(LABELS, min_size=24, max_size=24, unique=True)))
    words = iter(draw(st.lists(MODEL_NAMES, min_size=8, max_size=8, unique=True)))
    managed = draw(st.booleans())
    tailnet: Data = {"base_domain": f"{draw(LABELS)}.tailnet.example", "managed": managed}
    if not managed:
        tailnet["server_url"] = draw(st.sampled_from(["https://join.example", "https://join.example:443/"]))

    models: Data = {}
    for _ in range(draw(st.integers(1, 3))):
        models[next(words)] = {
            "file": f"{draw(LABELS)}.gguf",
            "size_mib": draw(st.integers(1, 100_000)),
            "kv_mib": draw(st.integers(0, 50_000)),
            "context_tokens": draw(st.integers(256, 1 << 20)),
            "slots": draw(st.integers(1, 256)),
        }
    aliases = {next(words): draw(st.sampled_from(sorted(models))) for _ in range(draw(st.integers(0, 2)))}
    known = [*models, *aliases]
    people: Data = {
        name: {
            "login": f"{name}@{draw(LABELS)}.example",
            "models": draw(st.lists(st.sampled_from(known), unique=True)),
            "indexes": draw(st.lists(st.sampled_from(["code", "docs", "libraries"]), unique=True)),
            "ssh": draw(st.booleans()),
        }
        for name in (next(names) for _ in range(draw(st.integers(1, 3))))
    }

    nodes: Data = {} if managed else {next(names): {"role": "headscale"}}
    gateways = [next(names) for _ in range(draw(st.integers(1, 2)))]
    nodes |= {name: {"role": "gateway", "memory_mib": draw(st.integers(2048, 1 << 16))} for name in gateways}
    served = [*models, *draw(st.lists(st.sampled_from(sorted(models)), max_size=2))]
    for model in served:
        need = models[model]["size_mib"] + models[model]["kv_mib"] + 1024
        node: Data = {"role": draw(st.sampled_from(["gpu", "pod"])), "models": [model]}
        if draw(st.booleans()):
            node["vram_mib"] = need + draw(st.integers(0, 1000))
        if draw(st.booleans()):
            node["state_on_disk"] = draw(st.sampled_from(["encrypted", "plain"]))
        nodes[next(names)] = node
    for _ in range(draw(st.integers(1, 3))):
        laptop: Data = {"role": "laptop", "owner": draw(st.sampled_from(sorted(people)))}
        if len(gateways) > 1 or draw(st.booleans()):
            laptop["gateway"] = draw(st.sampled_from(gateways))
        nodes[next(names)] = laptop

    repositories = {
        next(names): {
            "path": f"/srv/git/{draw(LABELS)}",
            "branches": draw(st.lists(LABELS, min_size=1, max_size=3, unique=True)),
        }
        for _ in range(draw(st.integers(1, 2)))
    }
    return {
        "name": draw(LABELS),
        "tailnet": tailnet,
        "people": people,
        "nodes": nodes,
        "models": models,
        "aliases": aliases,
        "repositories": repositories,
    }
