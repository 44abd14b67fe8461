"""``xinyi-sdk keygen``."""

import argparse
import json
import os
import sys
from pathlib import Path

from .._keys import generate_jwks
from .common import Commands, both


def add_to(commands: Commands) -> None:
    keygen = commands.add_parser("keygen", help="make a private key and the JWKS to give to the operator")
    keygen.add_argument("--out", required=True, metavar="DIR", type=Path, help="where to write; nothing is overwritten")
    keygen.set_defaults(run=_keygen)


def _keygen(options: argparse.Namespace) -> int:
    directory: Path = options.out
    private, public = directory / "private-key.pem", directory / "jwks.json"
    for path in (private, public):
        if path.exists():
            raise ValueError(f"{path} is there already, and no key is overwritten: name another folder")
    directory.mkdir(parents=True, exist_ok=True)
    key, jwks = generate_jwks()
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_pem())
    with public.open("x", encoding="utf-8") as text:
        text.write(json.dumps(jwks, indent=2) + "\n")
    sys.stdout.write(f"{private}  {both('请保密：它就是您的身份', 'keep it secret: it is who you are')}\n")
    sys.stdout.write(f"{public}  {both('交给运营方', 'give it to the operator')}\n")
    return 0
