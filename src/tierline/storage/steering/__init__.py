"""Statements on trained artefacts and on how tiers fared."""
