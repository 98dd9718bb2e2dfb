"""systemd hosts that boot what the evaluated NixOS hosts would run: the golden files, in systemd-nspawn.

`tree` makes the file system that all of them start from, `network` joins them, `golden_host` lays a host's golden files
over it, `machine` boots and drives it with the interface of the NixOS test driver, `memory` bounds it.
"""
