"""The OpenAPI document: declared answers and links."""
