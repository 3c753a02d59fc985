"""The composition root: puts the parts together and runs them. Holds no rules."""
