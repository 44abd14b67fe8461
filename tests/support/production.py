"""What an installation says of itself in production."""

from pathlib import Path
from typing import Any, Final

from xinyi.settings import Environment

PRODUCTION: Final[dict[str, Any]] = {
    "environment": Environment.PRODUCTION,
    "issuer": "https://credit.example",
    "operator_name_zh": "示例市信用中心",
    "operator_name_en": "Sample Credit Centre",
    "operator_contact": "rights@sample.example",
    "sign_in_issuer": "https://identity.example",
    "sign_in_client_id": "credit",
    "sign_in_secret_file": Path("sign-in.secret"),
    "sign_in_identifier_claim": "resident_id",
}
"""Settings: everything that production asks for."""

PRODUCTION_ENVIRON: Final = {f"XINYI_{name.upper()}": str(value) for name, value in PRODUCTION.items()}
"""The same for another process."""
