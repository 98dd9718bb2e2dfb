"""Which language a file is in, by its name."""

from pathlib import PurePosixPath
from typing import Final

TEXT: Final = "text"
"""The language of a file that no rule knows."""

_EXTENSIONS: Final = {
    "bash": "sh bash zsh ksh bats",
    "c": "c h",
    "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp inl cu cuh",
    "csharp": "cs",
    "css": "css scss sass less",
    "go": "go",
    "hcl": "tf hcl tfvars",
    "html": "html htm xhtml vue svelte",
    "java": "java",
    "javascript": "js jsx mjs cjs",
    "json": "json jsonc json5",
    "kotlin": "kt kts",
    "lua": "lua",
    "markdown": "md markdown mdx",
    "nix": "nix",
    "perl": "pl pm",
    "php": "php",
    "protobuf": "proto",
    "python": "py pyi pyw",
    "rst": "rst",
    "ruby": "rb rake gemspec",
    "rust": "rs",
    "scala": "scala sc",
    "sql": "sql",
    "swift": "swift",
    "toml": "toml",
    "tsx": "tsx",
    "typescript": "ts mts cts",
    "xml": "xml xsd xsl",
    "yaml": "yaml yml",
    "zig": "zig",
}
_NAMES: Final = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "makefile": "make",
    "gnumakefile": "make",
    "cmakelists.txt": "cmake",
    "jenkinsfile": "groovy",
    "rakefile": "ruby",
    "gemfile": "ruby",
}
_BY_SUFFIX: Final = {suffix: language for language, suffixes in _EXTENSIONS.items() for suffix in suffixes.split()}
_BY_INTERPRETER: Final = {"python": "python", "sh": "bash", "bash": "bash", "node": "javascript", "ruby": "ruby"}


def language_of(path: str, first_line: str = "") -> str:
    """The language of the file at `path`; a script without a suffix is known by the `#!` of its first line."""
    name = PurePosixPath(path).name.lower()
    if name in _NAMES:
        return _NAMES[name]
    _, dot, suffix = name.rpartition(".")
    if dot and suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if first_line.startswith("#!"):
        command = first_line[2:].split()
        program = PurePosixPath(command[-1] if command and command[0].endswith("/env") else (command or [""])[0]).name
        return _BY_INTERPRETER.get(program.rstrip("0123456789."), TEXT)
    return TEXT
