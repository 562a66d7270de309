"""The spans of code under test: recorded in the process by opentelemetry-sdk, and compared with a stored baseline."""
