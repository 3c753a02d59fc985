"""PostgreSQL 15 and newer as a target: what is installed there, and the adapter that uses it.

Owns the schema installed in a target database. Does not own any table of the target's (ADR-0009).
"""
