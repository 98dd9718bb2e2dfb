"""What every process of ours does the same way: settings, logs, HTTP errors, serving, systemd."""
