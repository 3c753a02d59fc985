"""Use cases of high-risk operations, one module each: ask, vote, execute, hand out credentials, take back, expire, read."""
