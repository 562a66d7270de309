"""The DynamoDB tables of the custom tracer of REL06-BP07."""
