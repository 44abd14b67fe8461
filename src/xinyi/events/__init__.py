"""Events: what partners are told of what happened to their consents, by signed webhooks and by asking for it."""
