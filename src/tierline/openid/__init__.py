"""Signing in by OpenID Connect (Core 1.0): what is decided, without I/O.

The HTTP with the identity provider is in `services/accounts/identity_provider.py`, the pages in
`api/console/routes/openid.py`.
"""
