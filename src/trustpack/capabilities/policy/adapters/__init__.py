"""The two policy engines and the files that their rules come from."""
