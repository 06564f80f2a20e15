"""The way to central: a pure sender, a thin MQTT adapter, and the thread that joins them to the log."""
