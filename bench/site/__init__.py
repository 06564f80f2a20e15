"""Measurements that need parts of several packages."""
