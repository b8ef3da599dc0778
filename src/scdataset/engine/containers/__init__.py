"""Where each chunk lies and how it is encoded, one module a storage format."""
