"""Which language a file is in, by its name."""

from pathlib import PurePosixPath
from typing import Final

TEXT: Final = "text"
"""The language of a file that no rule knows."""

_EXTENSIONS: Final = {
    "bash": "sh bash zsh ksh bats ebuild eclass",
    "c": "c h",
    "clojure": "clj cljs cljc",
    "cmake": "cmake",
    "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp inl cu cuh ino",
    "csharp": "cs csx",
    "css": "css",
    "dart": "dart",
    "dockerfile": "dockerfile containerfile",
    "docx": "docx docm",
    "elixir": "ex exs",
    "erlang": "erl hrl",
    "go": "go",
    "graphql": "graphql graphqls gql",
    "groovy": "groovy gradle gvy",
    "haskell": "hs",
    "hcl": "tf hcl tfvars nomad",
    "html": "html htm xhtml",
    "ini": "ini cfg conf properties editorconfig",
    "java": "java",
    "javascript": "js jsx mjs cjs",
    "json": "json jsonc json5 geojson webmanifest",
    "julia": "jl",
    "kotlin": "kt kts",
    "lua": "lua",
    "make": "mk mak",
    "markdown": "md markdown mdx mdown",
    "nix": "nix",
    "ocaml": "ml mli",
    "pdf": "pdf",
    "perl": "pl pm",
    "php": "php phtml",
    "powershell": "ps1 psm1 psd1",
    "protobuf": "proto",
    "python": "py pyi pyw",
    "r": "r",
    "rst": "rst rest",
    "ruby": "rb rake gemspec ru podspec",
    "rust": "rs",
    "scala": "scala sc sbt",
    "scss": "scss sass less",
    "sql": "sql ddl dml pgsql psql",
    "starlark": "bzl star bazel",
    "svelte": "svelte",
    "swift": "swift",
    "toml": "toml",
    "tsx": "tsx",
    "typescript": "ts mts cts",
    "vue": "vue",
    "xml": "xml xsd xsl xslt csproj fsproj vbproj vcxproj props targets plist",
    "yaml": "yaml yml",
    "zig": "zig zon",
}
_NAMES: Final = {
    "bash": ".bashrc .bash_profile .bash_aliases .profile .zshrc .zshenv .zprofile .envrc pkgbuild apkbuild",
    "cmake": "cmakelists.txt",
    "dockerfile": "dockerfile containerfile",
    "groovy": "jenkinsfile",
    "hcl": ".terraformrc",
    "ini": ".gitconfig .gitmodules .npmrc .pylintrc",
    "json": ".babelrc .eslintrc .prettierrc .jshintrc",
    "make": "makefile gnumakefile bsdmakefile kbuild",
    "python": "sconstruct sconscript snakefile wscript",
    "ruby": "rakefile gemfile vagrantfile brewfile podfile fastfile appfile guardfile capfile berksfile",
    "starlark": "build workspace tiltfile",
    "toml": "pipfile",
    "yaml": ".clang-format .clang-tidy .yamllint",
}
_INTERPRETERS: Final = {
    "bash": "sh bash dash ash zsh ksh bats",
    "groovy": "groovy",
    "javascript": "node nodejs",
    "julia": "julia",
    "kotlin": "kotlin",
    "lua": "lua luajit",
    "make": "make gmake",
    "perl": "perl",
    "php": "php",
    "powershell": "pwsh",
    "python": "python pypy",
    "r": "rscript",
    "ruby": "ruby",
    "scala": "scala",
    "swift": "swift",
    "typescript": "deno bun ts-node tsx",
}


def _turned(table: dict[str, str]) -> dict[str, str]:
    return {mark: language for language, marks in table.items() for mark in marks.split()}


_BY_SUFFIX: Final = _turned(_EXTENSIONS)
_BY_NAME: Final = _turned(_NAMES)
_BY_INTERPRETER: Final = _turned(_INTERPRETERS)


def language_of(path: str, first_line: str = "") -> str:
    """The language of the file at `path`; where its name does not tell, the first line may: `#!/bin/sh`, `%PDF-1.7`."""
    name = PurePosixPath(path).name.lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    stem, dot, suffix = name.rpartition(".")
    if dot and suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    # `Dockerfile.dev`, `Makefile.am`: what the file is stands first.
    before = stem.partition(".")[0]
    if before in ("dockerfile", "containerfile", "makefile", "jenkinsfile"):
        return _BY_NAME[before]
    if first_line.startswith("#!"):
        return _by_interpreter(first_line[2:])
    return "pdf" if first_line.startswith("%PDF-") else TEXT


def _by_interpreter(line: str) -> str:
    command = line.split()
    if command and PurePosixPath(command[0]).name == "env":
        # `env -S NAME=value program --option` is how a script gets its program from PATH.
        command = [word for word in command[1:] if not word.startswith("-") and "=" not in word]
        if command[:2] == ["uv", "run"]:
            return "python"
    program = PurePosixPath(command[0]).name if command else ""
    return _BY_INTERPRETER.get(program.lower().rstrip("0123456789."), TEXT)
