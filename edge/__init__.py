"""The agent on one clinic machine: kiosk, store, signed log, link to central."""
