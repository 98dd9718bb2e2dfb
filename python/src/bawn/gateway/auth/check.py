"""What can't work about who may use the gateway."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from bawn.gateway.auth.settings import Identity, PersonSettings, same_login


def people_problems(
    identity: Identity, people: Mapping[str, PersonSettings] | None, usable: Collection[str] | None
) -> Iterator[str]:
    """One sentence for each, beginning with its key; `usable`: models and aliases, None where unknown yet."""
    if people is None:
        if identity != "key":
            yield f'identity: {identity} needs to know whose node is whose; name the people in people, or take "key".'
        return
    if not people:
        yield "people: is empty, so that nobody could use the gateway; left out, every key may use everything."
    logins = Counter(same_login(person.login) for person in people.values())
    for name, person in people.items():
        login = same_login(person.login)
        if not login:
            yield f"people.{name}.login: must not be empty."
        elif logins[login] > 1:
            yield f"people.{name}.login: {person.login} is the login of {logins[login]} people; logins must differ."
        if usable is not None:
            for model in person.models:
                if model not in usable:
                    known = ", ".join(sorted(usable)) or "none"
                    yield f"people.{name}.models: no upstream serves {model!r}; known: {known}."
