"""From MQTT to the store: verify, place, commit, and only then acknowledge."""
