"""SQLite on the device: roster, references, consents, sessions, and the log's rows."""
