"""The columnar store: a folder of Parquet files, written whole or in parts, and read back as one set."""
