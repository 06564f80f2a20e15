"""Archives of closed years: Parquet files with all signatures, verifiable without any store; and pruning."""
