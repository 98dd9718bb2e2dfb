"""llama-cpp-python's own server: `python llama_cpp_python_server.py SITE_PACKAGES ARGUMENT…`.

The package itself is the product's, compiled once; the folder comes last, so that what the server needs beside it is
the peers'.
"""

import runpy
import sys


def main() -> None:
    _, packages, *arguments = sys.argv
    sys.path.append(packages)
    sys.argv = ["llama_cpp.server", *arguments]
    runpy.run_module("llama_cpp.server", run_name="__main__")


if __name__ == "__main__":
    main()
