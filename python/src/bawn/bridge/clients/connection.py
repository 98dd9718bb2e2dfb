"""What a coding assistant has to know to use the bridge."""

from pathlib import Path

import msgspec

from bawn.contracts.openai import ModelCard


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """One bridge, as a client's configuration describes it. `models` has at least one."""

    url: str
    """Base URL of the bridge, without `/v1`."""
    token: str
    token_file: Path
    models: list[ModelCard]
    small_model: str | None = None
    """For titles and summaries; the first model where None."""

    def __repr__(self) -> str:
        return f"Connection({self.url!r}, models={[card.id for card in self.models]})"

    @property
    def main(self) -> ModelCard:
        """The model that a client starts with."""
        return self.models[0]

    @property
    def small(self) -> str:
        """Name of the model for small tasks."""
        return self.small_model or self.main.id

    @property
    def portable_token_file(self) -> str:
        """`token_file` with `~` where it lies in the home folder, so that a project's file suits every colleague."""
        try:
            return f"~/{self.token_file.relative_to(Path.home()).as_posix()}"
        except ValueError:
            return self.token_file.as_posix()


def answer_tokens(context_length: int) -> int:
    """How many tokens of a context are kept for the answer."""
    return max(256, min(context_length // 4, 16384))
