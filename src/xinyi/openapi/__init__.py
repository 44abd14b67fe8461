"""The OpenAPI document, made from the code, and the reference page that shows it."""
