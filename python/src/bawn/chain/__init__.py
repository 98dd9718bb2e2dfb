"""The whole chain on one machine: model server, gateway and bridge as supervised processes."""
