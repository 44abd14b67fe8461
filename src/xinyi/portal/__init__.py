"""What a signed-in subject sees and does: their consents and records, as pages at ``/me`` and as ``/v1/me``."""
