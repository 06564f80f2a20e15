"""Rules as data: the national pack, regions, knowledge tables, and their linter and runner."""
