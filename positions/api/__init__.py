"""The bots' HTTP API under /api/v1/: slots, leases, claims, positions, plans and snapshots."""
