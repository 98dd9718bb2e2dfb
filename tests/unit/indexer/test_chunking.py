from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bawn.indexer.chunking import LARGEST, Piece, chunk

_BODY = "\n".join(f"    total_{n} = compute({n}) + offset_{n}" for n in range(36))
"""Statements that make a function a chunk of its own, in most languages."""

SNIPPETS = {
    "python": dedent('''
        """Module."""
        import os

        LIMIT: int = 3


        class Outer:
            """Doc."""

            size = 1

            @property
            def name(self):
                return "x"

            async def fetch(self, url):
                return url


        def top(a, b):
            def inner():
                return a
            return inner
    '''),
    "javascript": dedent("""
        import x from "x";
        export const LIMIT = 3;
        export function load(url) { return fetch(url); }
        const save = async (data) => { return data; };
        class Store extends Base {
          #secret() {}
          get(key) { return this[key]; }
        }
        module.exports.helper = function () {};
    """),
    "typescript": dedent("""
        export interface Options { size: number }
        export type Key = string | number;
        enum Color { Red }
        abstract class Base<T> { abstract run(): T; stop(): void {} }
        namespace Inner { export const a = 1 }
        export default function main(o: Options): Key { return o.size; }
    """),
    "tsx": "export const Button = (p: {a: string}) => <b>{p.a}</b>;\nfunction Page() { return <Button a='x' />; }\n",
    "go": dedent("""
        package main
        const Limit = 3
        type Server struct { port int }
        type Runner interface { Run() error }
        func (s *Server) Run() error { return nil }
        func main() {}
    """),
    "rust": dedent("""
        pub const LIMIT: u32 = 3;
        pub struct Server { port: u16 }
        enum State { On }
        trait Run { fn run(&self); }
        impl Run for Server { fn run(&self) {} }
        macro_rules! twice { ($e:expr) => { $e; $e } }
        mod inner { pub fn deep() {} }
        fn main() {}
    """),
    "java": dedent("""
        package a.b;
        public class Server implements Runnable {
          private static final int LIMIT = 3;
          public Server(int port) {}
          @Override public void run() {}
          enum State { ON }
          record Pair(int a, int b) {}
          interface Hook { void call(); }
        }
    """),
    "c": dedent("""
        #define LIMIT 3
        #define MAX(a, b) ((a) > (b) ? (a) : (b))
        typedef unsigned int word_t;
        struct server { int port; };
        enum state { ON };
        static int run(struct server *s) { return s->port; }
        char *name(void) { return 0; }
        char **names(void) { return 0; }
    """),
    "cpp": dedent("""
        namespace net {
        class Server { public: void start() {} ~Server() {} };
        template <typename T> T twice(T v) { return v + v; }
        }
        void net::Server::run(int n) {}
        std::string &ref() { static std::string s; return s; }
        using Key = int;
    """),
    "nix": dedent("""
        { config, lib, ... }:
        {
          options.services.demo.enable = lib.mkEnableOption "demo";
          config = lib.mkIf config.services.demo.enable { systemd.services.demo.wantedBy = [ "x" ]; };
        }
    """),
}
DEFINED = {
    "python": ["LIMIT", "Outer", "size", "name", "fetch", "top", "inner"],
    "javascript": ["LIMIT", "load", "save", "Store", "#secret", "get", "helper"],
    "typescript": ["Options", "Key", "Color", "Base", "run", "stop", "Inner", "a", "main"],
    "tsx": ["Button", "Page"],
    "go": ["Limit", "Server", "Runner", "Run", "main"],
    "rust": ["LIMIT", "Server", "State", "Run", "run", "twice", "inner", "deep", "main"],
    "java": ["Server", "LIMIT", "run", "State", "Pair", "Hook", "call"],
    "c": ["LIMIT", "MAX", "word_t", "server", "state", "run", "name", "names"],
    "cpp": ["net", "Server", "start", "~Server", "twice", "run", "ref", "Key"],
    "nix": ["options.services.demo.enable", "config", "systemd.services.demo.wantedBy"],
}


def _symbols(pieces: list[Piece]) -> list[str]:
    return [symbol for piece in pieces for symbol in piece.symbols]


def _of(pieces: list[Piece], symbol: str) -> Piece:
    (piece,) = [piece for piece in pieces if symbol in piece.symbols]
    return piece


@pytest.mark.parametrize("language", SNIPPETS)
def test_every_definition_of_a_language_is_a_symbol(language: str) -> None:
    found = [symbol.lstrip("#") for symbol in _symbols(chunk(SNIPPETS[language], language))]
    assert list(dict.fromkeys(found)) == [name.lstrip("#") for name in DEFINED[language]]


LONG = {
    "python": ("class Big:\n    def first(self):\n{b}\n\n    def second(self):\n{b}\n", "    "),
    "javascript": ("class Big {{\n  first() {{\n{b}\n  }}\n\n  second() {{\n{b}\n  }}\n}}\n", ""),
    "typescript": ("class Big {{\n  first(): void {{\n{b}\n  }}\n\n  second(): void {{\n{b}\n  }}\n}}\n", ""),
    "rust": ("impl Big {{\n  fn first(&self) {{\n{b}\n  }}\n\n  fn second(&self) {{\n{b}\n  }}\n}}\n", ""),
    "java": ("class Big {{\n  void first() {{\n{b}\n  }}\n\n  void second() {{\n{b}\n  }}\n}}\n", ""),
    "go": ("func (s *Big) first() {{\n{b}\n}}\n\nfunc (s *Big) second() {{\n{b}\n}}\n", ""),
    "cpp": ("class Big {{\n  void first() {{\n{b}\n  }}\n\n  void second() {{\n{b}\n  }}\n}};\n", ""),
}


@pytest.mark.parametrize("language", LONG)
def test_methods_of_a_big_type_are_chunks_of_their_own_and_know_the_type(language: str) -> None:
    template, indent = LONG[language]
    end = "" if language == "python" else ";"
    body = "\n".join(indent + line + end for line in _BODY.splitlines())
    pieces = chunk(template.format(b=body), language)
    first, second = _of(pieces, "first"), _of(pieces, "second")
    assert first.end_line < second.start_line
    assert first.context == "Big" or "Big" in first.symbols
    assert second.context == "Big"


def test_a_function_that_is_too_big_is_split_and_every_part_knows_it() -> None:
    text = "def huge():\n" + "\n".join(f"    value_{n} = compute({n})" for n in range(400)) + "\n"
    pieces = chunk(text, "python")
    assert len(pieces) > 3
    assert pieces[0].symbols == ["huge"]
    assert {piece.context for piece in pieces[1:]} == {"huge"}
    assert all(len(piece.text) <= LARGEST for piece in pieces)


def test_small_siblings_share_a_chunk() -> None:
    pieces = chunk("".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(6)), "python")
    assert len(pieces) == 1


def test_comments_and_decorators_stay_with_what_they_are_about() -> None:
    text = f"def before():\n{_BODY}\n\n\n# why\n# it is so\n@cached\ndef after():\n{_BODY}\n"
    after = _of(chunk(text, "python"), "after")
    assert after.text.startswith("# why\n# it is so\n@cached\ndef after")


def test_markdown_is_cut_at_headings_and_knows_those_above() -> None:
    text = f"# Top\n\nIntro.\n\n## One\n\n{'word ' * 300}\n\n### Deep\n\n{'more ' * 300}\n\n## Two\n\nEnd.\n"
    pieces = chunk(text, "markdown")
    deep = next(piece for piece in pieces if "### Deep" in piece.text)
    assert deep.text.startswith("### Deep")
    assert deep.context.split(".")[:2] == ["Top", "One"]
    assert _symbols(pieces) == []


def test_an_unknown_language_is_cut_into_windows_at_blank_lines() -> None:
    text = "".join(f"{'x' * 60}\n{'y' * 60}\n\n" for _ in range(60))
    pieces = chunk(text, "text")
    assert len(pieces) > 2
    assert all(piece.text.endswith("\n") for piece in pieces[:-1])


def test_definitions_of_languages_without_a_grammar_are_guessed() -> None:
    assert _symbols(chunk("defmodule X do\n  def bar?(x) do\n  end\nend\n", "elixir")) == ["bar?"]
    assert _symbols(chunk("local function area(x)\nend\nfunction Point.new() end\n", "lua")) == ["area", "Point.new"]
    assert _symbols(chunk("FROM x AS build\nRUN y\nFROM z\n", "dockerfile")) == ["build"]
    assert _symbols(chunk("X := 1\nall: a b\n\techo c: d\ntest::\n\ttrue\nY ::= 2\n", "make")) == ["all", "test"]
    assert _symbols(chunk("macro(own NAME)\nendmacro()\nadd_library(core a.c)\n", "cmake")) == ["own", "core"]
    assert _symbols(chunk("function of the class is a thing\n", "text")) == []


def test_an_empty_file_has_one_chunk() -> None:
    (piece,) = chunk("", "python")
    assert (piece.start_line, piece.end_line, piece.text) == (1, 1, "")


def _joined(pieces: list[Piece]) -> str:
    return "\n".join(piece.text for piece in pieces)


def _check_cover(text: str, language: str) -> None:
    pieces = chunk(text, language)
    assert _joined(pieces) == text.removesuffix("\n")
    line = 1
    for piece in pieces:
        assert piece.start_line == line
        assert piece.text.count("\n") == piece.end_line - piece.start_line
        line = piece.end_line + 1


@pytest.mark.parametrize("language", SNIPPETS)
def test_chunks_leave_no_line_out_and_do_not_overlap(language: str) -> None:
    _check_cover(SNIPPETS[language] * 30, language)


_ALPHABET = st.sampled_from("def class{}()[]:;#\"'`/*\\ \n\t\rxé\u2028日")


@given(st.text(alphabet=_ALPHABET, max_size=400), st.sampled_from([*SNIPPETS, "markdown", "text"]))
def test_chunks_cover_whatever_the_text_is(text: str, language: str) -> None:
    _check_cover(text, language)


@pytest.mark.parametrize("language", ["python", "javascript", "c"])
def test_deep_nesting_is_cut_without_recursion(language: str) -> None:
    _check_cover("\n".join("(" * 20 for _ in range(300)) + "1" + "\n".join(")" * 20 for _ in range(300)), language)
