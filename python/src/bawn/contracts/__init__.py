"""Wire types, errors and records that the services share; imports nothing of ours."""
