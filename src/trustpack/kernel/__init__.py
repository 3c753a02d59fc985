"""Words that every other package shares: identifiers, time, actors, errors, transition tables.

Owns no input or output: standard library only, no clock, no randomness, no database (ADR-0003).
"""
