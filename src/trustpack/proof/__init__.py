"""The pure cryptographic core: canonical bytes, digests, commitments, receipt chains, evidence bundles.

Holds all that an offline verifier needs and imports only the standard library, `cryptography` and `rfc8785` (ADR-0003).
"""
