"""A generation that breaks the host's own service is left for the last one that was ready, and the journal says why."""

SYSTEM = "/run/current-system"
GOOD = "/nix/var/nix/gcroots/bawn-good-generation"


def current(machine):
    """Store path of the generation that runs."""
    return machine.succeed(f"readlink --canonicalize {SYSTEM}").strip()


def a_ready_generation_is_noted(machine):
    """The gate passes after the boot, and the generation is kept as the one to come back to; its store path."""
    machine.wait_until_succeeds(f"test -e {GOOD}", timeout=300)
    good = machine.succeed(f"readlink --canonicalize {GOOD}").strip()
    assert good == current(machine)
    return good


def a_broken_generation_is_left(machine, broken, service, good):
    """Switch to `broken`, in which `service` can't start: the switch fails, and the host goes back to `good`."""
    machine.fail(f"{broken}/bin/switch-to-configuration switch")
    machine.wait_until_succeeds(f"test $(readlink --canonicalize {SYSTEM}) = {good}", timeout=300)
    machine.wait_until_succeeds(f"systemctl is-active {service}", timeout=300)
    # Its own switch holds the lock of switches until it has ended.
    machine.wait_until_succeeds(
        "systemctl show --property=ActiveState --value bawn-leave-generation.service | grep --line-regexp inactive",
        timeout=300,
    )
    words = machine.succeed("journalctl --unit bawn-leave-generation.service --output cat")
    assert f"isn't ready: back to {good}." in words, words
    # What the next boot starts, too.
    profile = machine.succeed("readlink --canonicalize /nix/var/nix/profiles/system").strip()
    assert profile == good, profile


def a_generation_that_works_stays(machine, other):
    """The gate isn't a lock: another generation that is ready becomes the good one."""
    target = machine.succeed(f"readlink --canonicalize {other}").strip()
    machine.succeed(f"{other}/bin/switch-to-configuration switch")
    machine.wait_until_succeeds(f"test $(readlink --canonicalize {GOOD}) = {target}", timeout=300)
    assert current(machine) == target


def run(machine, service="bawn-model-server.service"):
    """All of it, on a host with two specialisations: `broken` and `other`."""
    good = a_ready_generation_is_noted(machine)
    a_broken_generation_is_left(machine, f"{good}/specialisation/broken", service, good)
    a_generation_that_works_stays(machine, f"{good}/specialisation/other")
