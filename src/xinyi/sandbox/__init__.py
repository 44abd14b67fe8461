"""Made-up subjects and records for the sandbox: recognisable by their region, which no province has."""
