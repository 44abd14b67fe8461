"""How HTTP looks in every room: who calls, envelopes, problems, headers, limits."""
