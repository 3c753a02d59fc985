"""Numbered plain SQL migrations, forward only, and the runner that applies them (ADR-0004)."""
