"""The outside systems on which grants are carried out, one module each, behind `operations.ports`."""
