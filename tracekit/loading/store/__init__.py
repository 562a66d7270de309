"""The columnar store: a folder of Parquet files, written in one or more parts, and read as one set."""
