"""Leads, opportunities, quotes and contracts in PostgreSQL."""
