"""The console: pages for auditors and administrators, made on the server."""
