"""Models and aliases of several upstreams."""

from bawn.gateway.relay.backend import Backend, Served
from bawn.gateway.relay.catalogue import Catalogue
from bawn.relay.timeouts import Timeouts
from bawn.relay.upstream import Upstream


def _backend(name: str, *models: str) -> Backend:
    return Backend(Upstream(name, "http://127.0.0.1:1", timeouts=Timeouts()), list(models))


def test_where_upstreams_disagree_clients_are_told_the_smaller_context():
    one, other = _backend("one"), _backend("other")
    one.lists([Served("coder", 8192, True)])
    other.lists([Served("coder", 4096, True), Served("small", None)])
    listing = Catalogue([one, other], {"default": "coder", "dangling": "gone"}).listing()
    assert [(m.id, m.context_length, m.fim) for m in listing.data] == [
        ("default", 4096, True),
        ("coder", 4096, True),
        ("small", None, None),
    ]


def test_models_of_the_settings_stay_whatever_the_upstream_lists():
    backend = _backend("one", "coder")
    assert backend.known
    backend.lists([Served("other", 1), Served("coder", 2048)])
    assert backend.models == {"coder": Served("coder", 2048)}
    backend.lists([])
    assert list(backend.models) == ["coder"]


def test_a_backend_without_listed_models_is_asked_until_it_has_told():
    backend = _backend("one")
    catalogue = Catalogue([backend], {"default": "coder"})
    assert catalogue.unlisted() == [backend]
    backend.lists([Served("coder")])
    assert catalogue.unlisted() == []
    assert catalogue.serving(catalogue.resolve("default")) == [backend]
    assert catalogue.serving("default") == []


def test_a_model_that_embeds_is_listed_as_one():
    backend = _backend("one")
    backend.lists([Served("coder", 8192), Served("mini", 512, embedding_length=384)])
    listing = Catalogue([backend], {"embed": "mini"}).listing()
    assert [(m.id, m.embedding_length, m.generates) for m in listing.data] == [
        ("embed", 384, False),
        ("coder", None, True),
        ("mini", 384, False),
    ]
