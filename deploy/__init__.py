"""What a site needs to run it: the command, the demo, broker, certificates, units."""
