"""The only code that edge and central share: events, topics, the signed log, ids, canonical tables."""
