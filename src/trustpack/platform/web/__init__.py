"""HTTP at the edge: strict JSON, problem documents, idempotency keys, cursors, the canonical request line."""
