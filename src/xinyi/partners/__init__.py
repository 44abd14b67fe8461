"""Who may ask: partners, sources of records, their clients with keys, and the scenarios a client was given."""
