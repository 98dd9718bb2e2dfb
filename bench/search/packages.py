"""Which packages are searched, each pinned by version and hash."""

from typing import Final

from bench.search.corpora import Project
from bench.search.downloads import Package

PROJECTS: Final = (
    # Those that may be looked at while the ranking is tuned …
    Project(  # Python
        package=Package("pypi", "click", "8.5.1", "9bbfada76703fd1d784b83eea012e3e8c6a001a876543ef104fa56aaaeb072b4")
    ),
    Project(  # Python, C
        package=Package("pypi", "aiohttp", "3.14.5", "5558a7f5a05af9ecf744af91e5baefc436f93c9333e656c27ec253f9a6bbe178")
    ),
    Project(  # Python, C
        package=Package("pypi", "psutil", "7.2.2", "0746f5f8d406af344fd547f1c8daa5f5c33dbc293bb8d6a16d80b4bb88f59372")
    ),
    Project(  # Rust, Python
        package=Package(
            "pypi", "tokenizers", "0.23.3", "cded33237c77caeef62944d32aa9a7ef42bdce2b3497e18d137e072a8c4be438"
        )
    ),
    Project(  # JavaScript
        package=Package("npm", "axios", "1.21.1", "5659acb8c9414ad88aa539db8e529947c9bac8cdf55973e314a078fc0205751c"),
        only=("lib/", "index.js", "README", "CHANGELOG"),
    ),
    Project(  # JavaScript
        package=Package("npm", "eslint", "10.15.0", "8cb5e45fb5b1174e4216d546b69d37c0ac5cb5d9ba8342946a04af1f59605edb")
    ),
    Project(  # TypeScript
        package=Package(
            "npm", "puppeteer-core", "25.16.0", "9e4b26afab4af544ec25a2ca67c463a5669e8a656d85d3a264832491185702e3"
        ),
        only=("src/", "README", "CHANGELOG"),
    ),
    Project(  # TypeScript
        package=Package("npm", "zod", "4.6.7", "84efd155bed93270286e793fc951be270b536cbd5b0eeb111f0fa3967201d698"),
        only=("src/", "README"),
    ),
    # … and those that may not.
    Project(  # Python
        package=Package(
            "pypi", "werkzeug", "3.1.9", "55ca7c70a75689be937aa27f8ff4b018f06ff4838fc73045560bf0f5a1291060"
        ),
        held_out=True,
    ),
    Project(  # Python
        package=Package("pypi", "flask", "3.1.3", "0ef0e52b8a9cd932855379197dd8f94047b359ca0a78695144304cb45f87c9eb"),
        held_out=True,
    ),
    Project(  # C++
        package=Package(
            "pypi", "pybind11", "3.1.0", "a1cc06b524ab3edca51f8ad3895f9c4fa20b8b19283173dff4ae781449dc9639"
        ),
        held_out=True,
    ),
    Project(  # Rust, Python
        package=Package(
            "pypi", "pydantic-core", "2.50.5", "1e740886083ff95530d694e6a3f09ed914bcf92a496d16acd307c6c3484fc36d"
        ),
        held_out=True,
    ),
    Project(  # TypeScript
        package=Package("npm", "rxjs", "7.8.2", "2312f8ffd9726ffd7bd53ea12c5f13663d09a3dc3326f448c70b88f5ef6fac82"),
        only=("src/", "README", "CHANGELOG"),
        held_out=True,
    ),
    Project(  # JavaScript
        package=Package("npm", "undici", "8.13.1", "33cceb321835a0754c60a9ac681df71dddc2ee8aafd890f763414b51574182b5"),
        held_out=True,
    ),
    # Of many that nobody had looked at, the smallest with a hundred test names to ask from: the others have few.
    Project(  # Python
        package=Package(
            "pypi", "gunicorn", "27.0.1", "b1514965361c8b7e8107a80aa2a92636878df1ccfac6dd204a676426e04d9e3e"
        ),
        held_out=True,
    ),
    Project(  # Python
        package=Package(
            "pypi", "jsonschema", "4.26.0", "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326"
        ),
        held_out=True,
    ),
    Project(  # Python
        package=Package(
            "pypi", "setuptools", "84.2.1", "3ff8b3b5492a0aa66960f4419365a86b84e013070d4313e4d4a6894f5d64d6bc"
        ),
        held_out=True,
    ),
    # And all others of those many that have as many and less than 6 MB: projects differ more than questions do.
    Project(  # Python
        package=Package("pypi", "scrapy", "2.19.0", "34130726582b64c91531162ab277c4053e558876d49ba219cb43679e71d80a87"),
        held_out=True,
    ),
    Project(  # Python
        package=Package("pypi", "pyramid", "2.1", "5a24bc1b5f9e0f0d1c0b6ddd1111e84c15dac44a07e3c1d24e74dd9bb4fc22eb"),
        held_out=True,
    ),
    Project(  # Python, C
        package=Package("pypi", "pillow", "13.0.0", "cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510"),
        held_out=True,
    ),
    Project(  # Python, Rust
        package=Package(
            "pypi", "cryptography", "50.0.2", "7b46165bb56eb4704e2eaaf86f3c940d19154535d9b0ca7d6d590b04060e00d5"
        ),
        held_out=True,
    ),
    Project(  # Python
        package=Package("pypi", "pytest", "9.2.0", "97c4f3b1f3c7414aa36465e09b8220f1d03627993bd51b1282e193753c80557b"),
        held_out=True,
    ),
)
"""Questions are asked of these."""

LARGE: Final = (
    Project(
        package=Package("pypi", "django", "6.1.3", "b5d2d9e35295065d13b1927b3f19a59bd119f737aa6299def14ccca1ae3c8c0d")
    ),  # Python
    Project(
        package=Package("pypi", "ruff", "0.17.6", "2b04276561331300325040bdca21460770029ec574d4c479099e39e8ad1ed43c")
    ),  # Rust
    Project(
        package=Package("npm", "effect", "4.1.0", "41705a35c964192dfc742863f0e099727ccda7ff2bd67a06d09b093a336f2b0e")
    ),  # TypeScript
    Project(
        package=Package("npm", "three", "0.187.0", "ff540832ded0cfe919764d24a3d88f3e2a05f23303f876423e4f893841e90728")
    ),  # JavaScript
    Project(
        package=Package("pypi", "grpcio", "1.85.3", "8e18f15d1b09b8771edbf59d634b26cbe4903bc2577cb667264934a6655eb8b4")
    ),  # C++, C
    Project(
        package=Package("pypi", "sympy", "1.14.0", "d3d3fe8df1e5a0b42f0e7bdf50541697dbe7d23746e894990c030e2b05e72517")
    ),  # Python
    Project(
        package=Package("pypi", "scipy", "1.18.1", "52c4b7422442aba924d03ad4019852b08a92e64ea187b933135687bfe2747307")
    ),  # Python, C++, C
    Project(
        package=Package("pypi", "pandas", "3.1.1", "05fed3e3b7c99b226f160e29d7d6cb7ef39638c758cbfe42b3f24ba34f04b859")
    ),  # Python
    Project(
        package=Package(
            "pypi", "transformers", "5.24.0", "906cb8c3cb2123575e263962586a4d21a979ce97feeb95fe6aaf66fe6ae88bf3"
        )
    ),  # Python
)
"""Source by the megabyte. Speed, memory and waiting are measured on these, and nothing is judged that was found."""
