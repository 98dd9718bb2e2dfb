"""Which texts can be names: of nodes, domains, models, repositories."""

import re
from typing import Final

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
LABEL: Final = re.compile(_LABEL)
"""A label of DNS (RFC 1123, 2.1), in small letters: Headscale and NixOS know no others."""
DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
"""Goes into URLs, metrics and the configurations of clients."""
LOGIN: Final = re.compile(r"[^@\s:*]+@[^@\s:*]*")
"""Headscale writes a user without e-mail as `ada@`. In a policy `:` and `*` have a meaning of their own."""
SHA256: Final = re.compile(r"[0-9a-f]{64}")
WEIGHTS: Final = re.compile(r"[^/\s][^/]*\.gguf")
ENTRY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?")
"""Name of an entry in the indexer's registry."""
