"""High-risk operations: temporary access that is asked for, decided, approved, carried out, and taken back by itself.

Owns: requests and their states, targets and their adapters, executions, grants and the proof of their end.
Does not own: the policy that decides, the votes, the receipts, or the evidence file of a case.
"""

from trustpack.capabilities.operations.model import Case, HighRiskRequest, Status, Target
from trustpack.capabilities.operations.rules.effects import read_effect
from trustpack.capabilities.operations.rules.target_definition import parse_definition, parse_definition_file
from trustpack.capabilities.operations.service.reading import find_readable, load_case, present, readable_ones, view_of

__all__ = [
    "Case",
    "HighRiskRequest",
    "Status",
    "Target",
    "find_readable",
    "load_case",
    "parse_definition",
    "parse_definition_file",
    "present",
    "read_effect",
    "readable_ones",
    "view_of",
]
