"""Governed flows with proof: policy decides, the right people approve, the effect ends on time, receipts stay."""

__version__ = "0.1.0.dev0"
