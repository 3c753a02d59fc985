"""The ways to sign in: each fulfils `platform.auth.ports.SignInMethod`."""
