"""The gateway that signs a treatment machine's own log: each run once, as the machine told it."""
