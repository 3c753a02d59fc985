"""The demo: two tenants, a production database with several customers' rows, and the golden path told step by step."""
