"""``xinyi openapi``: the API's description, made from the code."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from ..app import create_app
from ..openapi import document_yaml
from ..settings import Settings


@click.command()
def openapi() -> None:
    """Print the OpenAPI document as YAML; openapi/xinyi.yaml is this command's output."""
    with TemporaryDirectory() as folder:
        click.echo(document_yaml(create_app(Settings(data_dir=Path(folder)))), nl=False)
