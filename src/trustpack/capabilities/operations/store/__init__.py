"""High-risk operations in PostgreSQL: one module per table."""
