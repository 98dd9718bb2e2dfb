"""bawn: a private AI coding assistant on machines that your team controls."""

from typing import Final

__version__: Final = "0.1.0"
