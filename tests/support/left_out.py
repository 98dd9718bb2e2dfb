"""What a test leaves out on a machine that hasn't all it needs: `record_property(LEFT_OUT, reason)`."""

from typing import Final

LEFT_OUT: Final = "left out"
