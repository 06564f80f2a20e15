"""Importers: what hospitals and bureaus have, as files, into the canonical tables of the audit."""
