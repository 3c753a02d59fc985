"""Evidence: one file per case that tells the whole story and can be checked offline.

Owns: the bundle's form and its manifest. Does not own: the case, its decisions or its receipts, which it only reads.
"""

from trustpack.capabilities.evidence.service import deal_bundle, operation_bundle

__all__ = ["deal_bundle", "operation_bundle"]
