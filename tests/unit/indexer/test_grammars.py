from textwrap import dedent

import pytest

from bawn.indexer.chunking import Piece, chunk
from bawn.indexer.grammars import has_grammar, languages

CASES = {
    "bash": (
        """
        #!/usr/bin/env bash
        readonly LIMIT=3
        export CACHE="$HOME/.cache"
        name=plain
        function load() {
          local inner=1
          curl --fail "$1"
        }
        save_file() { load "$1" | tee "$2"; }
        """,
        ["LIMIT", "CACHE", "name", "load", "save_file"],
        ["curl", "tee"],
    ),
    "c": (
        """
        #define LIMIT 3
        typedef struct { int port; } config;
        struct server { int port; };
        static int run(struct server *s) { return listen_on(s->port); }
        char *name(config *c) { return copy(c); }
        """,
        ["LIMIT", "config", "server", "run", "name"],
        ["listen_on", "copy"],
    ),
    "cpp": (
        """
        namespace net {
        class Server { public: void start() { bind(); } ~Server() {} };
        template <typename T> T twice(T v) { return v + v; }
        }
        void net::Server::run(Config c) { net::listen(c); }
        """,
        ["net", "Server", "start", "~Server", "twice", "run"],
        ["bind", "listen", "Config"],
    ),
    "csharp": (
        """
        namespace Shop.Orders;

        public delegate void Changed(object sender);
        public interface IStore { Task<Order> LoadAsync(int id); }
        public enum State { Open, Closed }
        public record Point(int X, int Y);
        public struct Money { public decimal Amount; }
        [Serializable]
        public class OrderStore<T> : IStore where T : class
        {
            private const int Limit = 3;
            public event EventHandler Saved;
            public string Name { get; set; }
            public OrderStore(ILogger log) { }
            public async Task<Order> LoadAsync(int id) { return await _db.Find(id); }
        }
        """,
        ["Changed", "IStore", "LoadAsync", "State", "Point", "Money", "Amount", "OrderStore", "Limit", "Saved", "Name"],
        ["ILogger", "Find", "Order", "Serializable"],
    ),
    "css": (
        """
        :root { --accent: #fff; }
        .card, #main > p.lead:hover { color: red; }
        @media (max-width: 600px) { .wide { display: none } }
        @keyframes fade { from { opacity: 0 } to { opacity: 1 } }
        """,
        ["--accent", "card", "main", "lead", "wide", "fade"],
        [],
    ),
    "go": (
        """
        package main
        const Limit = 3
        type Server struct { port Port }
        type Runner interface { Run() error }
        func (s *Server) Run() error { return s.listen(open()) }
        func main() {}
        """,
        ["Limit", "Server", "Runner", "Run", "main"],
        ["Port", "listen", "open"],
    ),
    "hcl": (
        """
        terraform {
          required_version = ">= 1.0"
        }
        variable "region" {}
        locals {
          owner = "team"
        }
        resource "aws_instance" "web" {
          ami = data.aws_ami.base.id
        }
        data "aws_ami" "base" {}
        module "vpc" { source = "./vpc" }
        """,
        ["variable.region", "owner", "aws_instance.web", "data.aws_ami.base", "module.vpc"],
        [],
    ),
    "html": (
        """
        <!doctype html>
        <html><body>
        <header id="top"><h1>Orders</h1></header>
        <main id='list'><custom-cart id=cart v-if="a">hi</custom-cart></main>
        <script>
        function refresh() { return 1 }
        </script>
        </body></html>
        """,
        ["top", "list", "cart", "refresh"],
        [],
    ),
    "java": (
        """
        package a.b;
        public class Server implements Runnable {
          private static final int LIMIT = 3;
          @Override public void run() { queue.take(new Job()); }
          enum State { ON }
          record Pair(int a, int b) {}
          interface Hook { void call(); }
        }
        """,
        ["Server", "LIMIT", "run", "State", "Pair", "Hook", "call"],
        ["Runnable", "Override", "take", "Job"],
    ),
    "javascript": (
        """
        import { fetch } from "x";
        export const LIMIT = 3;
        export function load(url) { return api.fetch(url); }
        const save = async (data) => new Store(data);
        class Store extends Base { #secret() {} get(key) { return this[key]; } }
        const Page = () => <Layout />;
        """,
        ["LIMIT", "load", "save", "Store", "secret", "get", "Page"],
        ["fetch", "Layout"],
    ),
    "json": ('{\n  "name": "demo",\n  "scripts": {"build": "x"},\n  "items": [1, {"a": 2}]\n}\n', [], []),
    "kotlin": (
        """
        package shop.orders
        const val LIMIT = 3
        typealias Key = String
        interface Store { suspend fun load(id: Int): Order }
        data class Order(val id: Int, val total: Double)
        enum class State { OPEN, CLOSED }

        object Registry {
            fun register(order: Order) {}
        }

        class OrderStore(private val db: Db) : Store {
            private val cache = buildCache()

            override suspend fun load(id: Int): Order = db.find(id)

            companion object {
                fun create() = OrderStore(Db())
            }
        }
        fun String.shout(): String = uppercase()
        """,
        [
            "LIMIT", "Key", "Store", "load", "Order", "State", "Registry", "register", "OrderStore", "cache", "create",
            "shout",
        ],
        ["Db", "find", "buildCache", "uppercase"],
    ),
    "markdown": ("# Top\n\nText.\n\n## Below\n\nMore.\n", [], []),
    "nix": (
        """
        { lib, ... }:
        { options.services.demo.enable = lib.mkEnableOption "demo"; }
        """,
        ["options.services.demo.enable"],
        ["mkEnableOption"],
    ),
    "php": (
        """
        <?php
        namespace App\\Http;
        use App\\Models\\User;
        const LIMIT = 3;
        interface Store { public function load(int $id): User; }
        trait Logs { private function log(string $m): void {} }
        enum Status: string { case Open = 'open'; }
        abstract class Controller implements Store {
            public const VERSION = 1;
            private ?User $user = null;
            public static function make(): static { return Registry::find(new Key()); }
        }
        function helper($a) { return strlen($a); }
        """,
        ["LIMIT", "Store", "load", "Logs", "log", "Status", "Controller", "VERSION", "user", "make", "helper"],
        ["User", "Registry", "find", "Key", "strlen"],
    ),
    "python": (
        """
        from x import Base, helper
        LIMIT: int = 3
        class Store(Base):
            size = 1
            @cached
            def load(self, key: Key) -> Order:
                return self.db.find(key)
        def top():
            return Store()
        """,
        ["LIMIT", "Store", "size", "load", "top"],
        ["Base", "helper", "cached", "Key", "Order", "find"],
    ),
    "ruby": (
        """
        module Shop
          LIMIT = 3
          class Order < Base
            attr_reader :total, :tax
            def initialize(total)
              @total = Money.new(total)
            end
            def paid? = true
            def self.load(id)
              find(id)
            end
          end
        end
        class Shop::Cart
          def add(item) = items.push(item)
        end
        """,
        ["Shop", "LIMIT", "Order", "total", "tax", "initialize", "paid?", "load", "Cart", "add"],
        ["Base", "Money", "find", "push"],
    ),
    "rust": (
        """
        pub const LIMIT: u32 = 3;
        pub struct Server { port: Port }
        enum State { On }
        trait Run { fn run(&self); }
        impl Run for Server { fn run(&self) { net::listen(self.port.get()); log!("x") } }
        macro_rules! twice { ($e:expr) => { $e; $e } }
        mod inner { pub fn deep() {} }
        """,
        ["LIMIT", "Server", "State", "Run", "run", "twice", "inner", "deep"],
        ["Port", "listen", "get", "log"],
    ),
    "scala": (
        """
        package shop.orders

        sealed trait Store[F] { def load(id: Int): F; val size: Int }
        case class Order(id: Int, total: BigDecimal)
        object Order {
          val Limit = 3
          def apply(x: Int): Order = build(x)
        }
        enum State:
          case Open, Closed
        type Key = String
        class OrderStore(db: Db) extends Store[Order] {
          override def load(id: Int): Order = db.find(id)
          private var count = 0
        }
        def top(x: Int) = x + 1
        """,
        ["Store", "load", "size", "Order", "Limit", "apply", "State", "Key", "OrderStore", "count", "top"],
        ["BigDecimal", "Db", "find", "build"],
    ),
    "sql": (
        """
        CREATE TABLE IF NOT EXISTS shop.orders (
          id BIGINT PRIMARY KEY
        );
        CREATE UNIQUE INDEX orders_idx ON shop.orders (id);
        CREATE OR REPLACE VIEW open_orders AS SELECT total(o.id) FROM archive o;
        CREATE FUNCTION add(a integer, b integer) RETURNS integer AS $$ BEGIN RETURN a + b; END; $$ LANGUAGE plpgsql;
        CREATE PROCEDURE settle(id BIGINT) LANGUAGE SQL AS $$ UPDATE orders SET total = 0 $$;
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        """,
        ["orders", "orders_idx", "open_orders", "add", "settle", "mood"],
        ["archive", "total"],
    ),
    "starlark": (
        """
        load("@rules//:defs.bzl", "go_library")
        DEPS = ["//lib"]
        def macro(name):
            native.genrule(name = name)
        go_library(
            name = "server",
            deps = DEPS,
        )
        """,
        ["DEPS", "macro", "server"],
        ["genrule", "go_library"],
    ),
    "svelte": (
        """
        <script lang="ts">
        export function toggle() { open = !open }
        </script>
        <div id="panel">{name}</div>
        """,
        ["toggle", "panel"],
        [],
    ),
    "swift": (
        """
        import Foundation
        let limit = 3
        typealias Key = String
        protocol Store { associatedtype Item; var size: Int { get }; func load(id: Int) async throws -> Order }
        struct Order: Codable { let id: Int }
        enum State { case open, closed }
        final class OrderStore: Store {
            init(db: Db) {}
            public static func make() -> OrderStore { build() }
        }
        extension Order { func shout() -> Text { id.spell() } }
        actor Counter { var count = 0 }
        func top<T>(_ x: T) -> T { x }
        """,
        [
            "limit", "Key", "Store", "Item", "size", "load", "Order", "id", "State", "OrderStore", "make", "shout",
            "Counter", "count", "top",
        ],
        ["Codable", "Db", "build", "Text", "spell"],
    ),
    "toml": ('title = "x"\n\n[tool.demo]\nsize = 1\n\n[[bin]]\nname = "a"\n', [], []),
    "tsx": (
        "export const Button = (p: Props) => <b>{p.a}</b>;\nfunction Page() { return <Layout a='x' />; }\n",
        ["Button", "Page"],
        ["Props", "Layout"],
    ),
    "typescript": (
        """
        export interface Options { size: Size }
        export type Key = string | number;
        enum Color { Red }
        abstract class Base<T> { abstract run(): T; stop(): void { halt() } }
        export default function main(o: Options): Key { return new Engine(o); }
        """,
        ["Options", "Key", "Color", "Base", "run", "stop", "main"],
        ["Size", "halt", "Engine"],
    ),
    "vue": (
        """
        <template><div id="app">{{ name }}</div></template>
        <script setup>
        async function load() { return 1 }
        </script>
        """,
        ["app", "load"],
        [],
    ),
    "yaml": ("name: build\njobs:\n  test:\n    steps:\n      - uses: x\n---\nkind: Service\n", [], []),
}  # fmt: skip


def _source(language: str) -> str:
    return dedent(CASES[language][0])


def _symbols(pieces: list[Piece]) -> list[str]:
    return list(dict.fromkeys(symbol for piece in pieces for symbol in piece.symbols))


def test_every_grammar_is_tried_here() -> None:
    assert set(CASES) == languages()
    assert all(has_grammar(language) for language in CASES)


@pytest.mark.parametrize("language", CASES)
def test_every_definition_of_a_language_is_a_symbol(language: str) -> None:
    assert _symbols(chunk(_source(language), language)) == CASES[language][1]


@pytest.mark.parametrize("language", [language for language, case in CASES.items() if case[2]])
def test_what_is_called_and_the_types_that_are_named_are_references(language: str) -> None:
    pieces = chunk(_source(language), language)
    used = {name for piece in pieces for name in piece.references}
    assert set(CASES[language][2]) <= used
    for piece in pieces:
        assert not set(piece.references) & set(piece.symbols)


@pytest.mark.parametrize("language", CASES)
@pytest.mark.parametrize("times", [1, 40])
def test_chunks_leave_no_line_out_and_do_not_overlap(language: str, times: int) -> None:
    text = _source(language) * times
    pieces = chunk(text, language)
    assert "\n".join(piece.text for piece in pieces) == text.removesuffix("\n")
    line = 1
    for piece in pieces:
        assert piece.start_line == line
        assert piece.text.count("\n") == piece.end_line - piece.start_line
        line = piece.end_line + 1


LONG = {
    "csharp": "class Big {{\n    void First() {{\n{b}\n    }}\n\n    void Second() {{\n{b}\n    }}\n}}\n",
    "kotlin": "class Big {{\n    fun First() {{\n{b}\n    }}\n\n    fun Second() {{\n{b}\n    }}\n}}\n",
    "php": "<?php\nclass Big {{\n    function First() {{\n{b}\n    }}\n\n    function Second() {{\n{b}\n    }}\n}}\n",
    "ruby": "class Big\n  def First\n{b}\n  end\n\n  def Second\n{b}\n  end\nend\n",
    "scala": "class Big {{\n  def First() = {{\n{b}\n  }}\n\n  def Second() = {{\n{b}\n  }}\n}}\n",
    "swift": "class Big {{\n    func First() {{\n{b}\n    }}\n\n    func Second() {{\n{b}\n    }}\n}}\n",
}


@pytest.mark.parametrize("language", LONG)
def test_methods_of_a_big_type_are_chunks_of_their_own_and_know_the_type(language: str) -> None:
    end = ";" if language in ("csharp", "php") else ""
    body = "\n".join(f"        compute({n}, offset_{n}){end}" for n in range(60))
    pieces = chunk(LONG[language].format(b=body), language)
    (first,) = [piece for piece in pieces if "First" in piece.symbols]
    (second,) = [piece for piece in pieces if "Second" in piece.symbols]
    assert first.end_line < second.start_line
    assert first.context == "Big" or "Big" in first.symbols
    assert second.context == "Big"


def test_a_namespace_that_has_no_braces_is_the_context_of_what_follows() -> None:
    method = "    public function {}() {{\n" + "        $this->step();\n" * 60 + "    }}\n"
    text = f"<?php\nnamespace App\\Http;\n\nclass Big {{\n{method.format('one')}\n{method.format('two')}}}\n"
    (two,) = [piece for piece in chunk(text, "php") if "two" in piece.symbols]
    assert two.context == "App\\Http.Big"


def test_keys_with_a_mapping_below_them_are_the_context_of_its_parts() -> None:
    steps = "".join(f"      - run: command number {n} of the job\n" for n in range(60))
    text = f"name: build\njobs:\n  test:\n    steps:\n{steps}  deploy:\n    needs: test\n    steps:\n{steps}"
    pieces = chunk(text, "yaml")
    deploy = [piece for piece in pieces if "deploy" in piece.context.split(".")]
    assert [piece.context for piece in deploy[1:]] == ["jobs.deploy.steps"] * (len(deploy) - 1)
    # A key is with what is below it, however short it is.
    (piece,) = [piece for piece in pieces if "  deploy:" in piece.text]
    assert "needs: test" in piece.text
    assert "command number 59" not in piece.text.partition("deploy:")[0]


def test_parts_of_a_big_json_object_know_its_key() -> None:
    entries = ",\n".join(f'    "key_{n}": "{"value " * 6}"' for n in range(80))
    pieces = chunk(f'{{\n  "small": 1,\n  "settings": {{\n{entries}\n  }}\n}}\n', "json")
    assert len(pieces) > 2
    assert {piece.context for piece in pieces[1:]} == {"settings"}
    assert all(piece.symbols == [] for piece in pieces)


def test_an_impl_block_that_is_a_whole_chunk_is_its_context() -> None:
    body = "".join(f"    let value_{n} = compute({n});\n" for n in range(30))
    text = f"fn before() {{\n{body}}}\n\nimpl Server {{\n  fn run(&self) {{\n{body}  }}\n}}\n"
    (run,) = [piece for piece in chunk(text, "rust") if "run" in piece.symbols]
    assert run.text.startswith("impl Server")
    assert run.context == "Server"


def test_definitions_in_what_a_grammar_cannot_read_are_guessed() -> None:
    text = dedent("""
        CREATE TABLE good (id int);
        CREATE PROCEDURE [dbo].[LoadOrders] @since datetime = NULL WITH RECOMPILE AS
        BEGIN
          SET NOCOUNT ON
        END
        GO
    """)
    assert _symbols(chunk(text, "sql")) == ["good", "LoadOrders"]


def test_a_chunk_names_a_bounded_number_of_references() -> None:
    (piece,) = chunk("def run():\n" + "".join(f"    f{n}()\n" for n in range(100)), "python")
    assert piece.references == [f"f{n}" for n in range(48)]
