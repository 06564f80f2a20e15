"""The site's own small CA, and the devices that join it."""
