"""The fleet as tables for a terminal."""

from collections import defaultdict

from rich import box
from rich.markup import escape
from rich.table import Table

from bawn.fleet.reachability import Allow, allowed
from bawn.fleet.schema import ROLES, Fleet


def reach_table(fleet: Fleet) -> Table:
    """Nodes against the nodes that somebody reaches: the ports that are allowed, everything else being denied."""
    ports: defaultdict[tuple[str, str], list[Allow]] = defaultdict(list)
    for rule in allowed(fleet):
        ports[rule.source, rule.target].append(rule)
    reached = _by_role(fleet, {target for _, target in ports})
    table = Table(title="Who reaches what", title_justify="left", box=box.SIMPLE_HEAD, caption_justify="left")
    table.add_column("from \\ to", no_wrap=True)
    for name in reached:
        table.add_column(escape(name), justify="center", overflow="fold")
    for source in _by_role(fleet, set(fleet.nodes)):
        cells = [", ".join(_port(rule) for rule in ports[source, target]) or "-" for target in reached]
        table.add_row(f"{escape(source)} ({fleet.nodes[source].role})", *cells)
    return table


def reach_notes(fleet: Fleet) -> list[str]:
    """What the table leaves out, in sentences."""
    rules = allowed(fleet)
    never = _by_role(fleet, set(fleet.nodes) - {rule.target for rule in rules})
    notes = ["Ports are TCP where nothing else is said; what isn't listed is denied."]
    if never:
        notes.append(f"Nobody reaches {escape(', '.join(never))}.")
    if any(rule.network == "public" for rule in rules):
        notes.append("Ports with * are reached over the internet: nodes need them before they are in the tailnet.")
    if fleet.tailnet.managed:
        notes.append("Every node also reaches Tailscale's servers, which run the tailnet.")
    return notes


def people_table(fleet: Fleet) -> Table:
    """People with their laptops, models and indexes."""
    table = Table(title="Who may use what", title_justify="left", box=box.SIMPLE_HEAD)
    for head in ("person", "login", "laptops", "models", "indexes", "operator"):
        table.add_column(head, overflow="fold")
    laptops = fleet.of_role("laptop")
    for key, person in sorted(fleet.people.items()):
        own = [name for name, node in laptops.items() if node.owner == key]
        cells = (
            key,
            person.login,
            *(", ".join(sorted(names)) or "-" for names in (own, person.models, person.indexes)),
        )
        table.add_row(*map(escape, cells), "yes" if person.ssh else "-")
    return table


def _by_role(fleet: Fleet, names: set[str]) -> list[str]:
    return sorted(names, key=lambda name: (ROLES.index(fleet.nodes[name].role), name))


def _port(rule: Allow) -> str:
    return f"{rule.port}{'/udp' if rule.protocol == 'udp' else ''}{'*' if rule.network == 'public' else ''}"
