"""The paper account: a ledger per allocator of what its decisions did with money."""
