"""Who sits at the browser: ways to sign in behind one port, and what keeps a session its owner's (ADR-0024)."""
