import pytest

from bawn.indexer.languages import TEXT, language_of


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.TSX", "tsx"), ("a.cs", "csharp"), ("a.proto", "protobuf"), ("main.tf", "hcl"), ("a.kts", "kotlin"),
        ("App.vue", "vue"), ("theme.scss", "scss"), ("guide.rst", "rst"), ("Manual.PDF", "pdf"), ("offer.docx", "docx"),
        ("deploy.yml", "yaml"), ("setup.cfg", "ini"), ("notes", TEXT), ("notes.txt", TEXT), ("a.b.unknown", TEXT),
    ],
)  # fmt: skip
def test_a_language_is_known_by_the_end_of_a_name(path: str, language: str) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("Dockerfile", "dockerfile"), ("deploy/Dockerfile.dev", "dockerfile"), ("api.dockerfile", "dockerfile"),
        ("Makefile", "make"), ("Makefile.am", "make"), ("rules.mk", "make"), ("BUILD", "starlark"),
        ("lib/BUILD.bazel", "starlark"), ("Rakefile", "ruby"), ("Jenkinsfile", "groovy"), ("CMakeLists.txt", "cmake"),
        (".bashrc", "bash"), ("SConstruct", "python"), ("Pipfile", "toml"), ("build.py", "python"),
    ],
)  # fmt: skip
def test_a_language_is_known_by_a_whole_name(path: str, language: str) -> None:
    assert language_of(path) == language


@pytest.mark.parametrize(
    ("first", "language"),
    [
        ("#!/usr/bin/env python3", "python"), ("#!/usr/bin/env -S python3 -u", "python"), ("#!/bin/sh -eu", "bash"),
        ("#!/usr/bin/python3.11", "python"), ("#!/usr/bin/env -S LANG=C node --flag", "javascript"),
        ("#!/usr/bin/env -S uv run --script", "python"), ("#!/usr/bin/env ruby", "ruby"),
        ("#! /usr/bin/perl -w", "perl"), ("#!/usr/bin/make -f", "make"), ("#!", TEXT), ("#!/opt/own", TEXT),
        ("#!/usr/bin/env", TEXT), ("%PDF-1.7", "pdf"), ("plain words", TEXT),
    ],
)  # fmt: skip
def test_where_the_name_does_not_tell_the_first_line_may(first: str, language: str) -> None:
    assert language_of("bin/run", first) == language


def test_a_name_counts_before_the_first_line() -> None:
    assert language_of("run.py", "#!/bin/sh") == "python"
