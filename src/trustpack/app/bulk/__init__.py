"""A large demo tenant: some deals and requests told through the product itself, and as many true copies as are asked for."""
