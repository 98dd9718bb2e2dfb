"""Definitions are found where they are, and their comments leave without taking a line of code along."""

import ast

from bench.search.code.definitions import Definition, without_comments
from bench.search.code.reading import definitions

PYTHON = '''\
import os


class Pool:
    """Of connections."""

    def acquire(self, timeout):
        """Wait for a free connection.

        Longer text.
        """
        return self.free.get(timeout)

    def release(self):
        """Give it back."""

    def inline(self): "Said beside the code."; return 1


@overload
def fetch(url: str) -> bytes: ...


async def fetch(url):
    return await get(url)
'''

TYPESCRIPT = """\
/** A name that nobody defines. */

/**
 * Joins two paths.
 *
 * @param a the first
 */
export function joinPaths(a: string, b: string): string {
  return `${a}/${b}`;
}

export function declared(a: string): void;

export class Walker {
  /** Visits each file below the root. */
  async visitFiles(
    root: string,
    depth = 0,
  ): Promise<void> {
    if (root) {
      setTimeout(() => {
        run(root);
      });
    }
  }

  get size(): number { return 1; }
}

/** Twice the number. */
const twice = (n: number) => {
  return 2 * n;
};
"""

RUST = """\
/// Splits a line at its first colon.
///
/// ```
/// split_line("a:b");
/// ```
#[must_use]
pub fn split_line(line: &str) -> Option<(&str, &str)>
where
    (): Sized,
{
    line.split_once(':')
}

pub trait Shape {
    fn area(&self) -> f64;
}
"""

C = """\
#include <stdio.h>

/*
 * Return the number of cores,
 * or -1.
 */
static int
count_cores(void)
{
    if (1) {
        return 4;
    }
    return -1;
}

int declared_only(int a);
"""

CPP = """\
namespace app {
template <typename T>
class Holder {
public:
    /// Takes the value out
    T take() const {
        return value_;
    }

    Holder()
        : value_(make_value()) {
    }
};
}
"""


def found(path: str, text: str) -> dict[str, Definition]:
    return {one.name: one for one in definitions(path, text)}


def lines_of(text: str, definition: Definition) -> list[str]:
    return text.split("\n")[definition.start - 1 : definition.end]


def test_python_s_functions_and_classes_with_their_docstrings() -> None:
    named = found("a.py", PYTHON)
    assert set(named) == {"Pool", "acquire", "release", "inline", "fetch"}
    acquire = named["acquire"]
    assert acquire.doc == "Wait for a free connection.\n\nLonger text."
    assert (acquire.start, acquire.end, acquire.comment, acquire.code_lines) == (7, 12, (8, 11), 2)
    assert named["release"].hollow
    assert named["inline"].comment is None
    assert lines_of(PYTHON, named["fetch"])[0] == "async def fetch(url):"


def test_python_that_this_python_can_t_read_defines_nothing() -> None:
    assert definitions("a.py", "print 'old'\n") == ()


def test_typescript_s_functions_methods_and_classes() -> None:
    named = found("a.ts", TYPESCRIPT)
    assert set(named) == {"joinPaths", "Walker", "visitFiles", "size", "twice"}
    assert named["joinPaths"].doc.startswith("Joins two paths.")
    assert lines_of(TYPESCRIPT, named["joinPaths"])[-1] == "}"
    assert named["visitFiles"].doc == "Visits each file below the root."
    assert lines_of(TYPESCRIPT, named["visitFiles"])[-1] == "  }"
    assert len(lines_of(TYPESCRIPT, named["visitFiles"])) == 10
    assert named["twice"].doc == "Twice the number."
    assert named["Walker"].sort == "type"


def test_rust_s_attributes_stand_between_comment_and_function() -> None:
    named = found("a.rs", RUST)
    assert set(named) == {"split_line", "Shape"}
    assert named["split_line"].doc.startswith("Splits a line at its first colon.")
    assert lines_of(RUST, named["split_line"])[0] == "#[must_use]"
    assert lines_of(RUST, named["split_line"])[-1] == "}"


def test_c_s_functions_have_their_type_on_a_line_above_and_prototypes_define_nothing() -> None:
    named = found("a.c", C)
    assert set(named) == {"count_cores"}
    assert named["count_cores"].doc.split() == ["Return", "the", "number", "of", "cores,", "or", "-1."]
    assert lines_of(C, named["count_cores"])[0] == "static int"
    assert lines_of(C, named["count_cores"])[-1] == "}"


def test_cpp_s_methods_stand_in_their_class() -> None:
    named = found("a.hpp", CPP)
    assert {"Holder", "take"} == set(named)
    assert named["take"].doc == "Takes the value out"


def test_stripping_leaves_the_code_and_says_where_it_went() -> None:
    removed = [one for one in definitions("a.py", PYTHON) if one.sort == "function"]
    text, place = without_comments(PYTHON, removed)
    tree = ast.parse(text)
    assert "Wait for" not in text
    assert "Give it back" not in text
    assert "Of connections" in text
    names = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert ast.get_docstring(names["acquire"]) is None
    for one in removed:
        start, end = place(one)
        lines = text.split("\n")[start - 1 : end]
        assert f"def {one.name}(" in lines[0]
    assert place(found("a.py", PYTHON)["release"]) == (names["release"].lineno, names["release"].end_lineno)


def test_stripping_takes_comments_above_with_all_their_lines() -> None:
    for path, text in (("a.ts", TYPESCRIPT), ("a.rs", RUST), ("a.c", C), ("a.hpp", CPP)):
        removed = [one for one in definitions(path, text) if one.sort == "function" and one.comment]
        stripped, place = without_comments(text, removed)
        for one in removed:
            assert one.doc.split("\n")[0] not in stripped or not one.doc.split("\n")[0]
            start, end = place(one)
            assert stripped.split("\n")[start - 1 : end] == lines_of(text, one)
        code = [line for line in text.split("\n") if line.strip() and not line.strip().startswith(("/", "*", "#["))]
        assert [line for line in stripped.split("\n") if line in code] == [
            line for line in text.split("\n") if line in code
        ]
