"""The process: everything that touches the world exactly once (settings, database, clock, randomness, web, telemetry).

Knows nothing of the product's flows; capabilities build on it (architecture section 4).
"""
