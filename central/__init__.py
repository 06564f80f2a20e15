"""The central service: ingest, claims, the nightly audit, console and API."""
