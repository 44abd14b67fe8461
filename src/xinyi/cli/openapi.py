"""``xinyi openapi``: the API's description, made from the code."""

import click

from ..app import api_document
from ..openapi.document import to_yaml


@click.command()
def openapi() -> None:
    """Print the OpenAPI document as YAML; openapi/xinyi.yaml is this command's output."""
    click.echo(to_yaml(api_document()), nl=False)
