"""The only package that calls AWS, through boto3, which is imported on the first call.

``client`` makes a call with retries.  ``pull`` downloads traces into a folder and can resume; ``trace_summaries`` and
``annotation_lint`` analyze pulled traces.  ``audit`` runs the trace-coverage audit, read-only.  ``rules`` reads and
lints sampling rules; ``tracer`` reads the DynamoDB tables of a custom tracer; ``publish`` writes findings to
CloudWatch.

Credentials come from boto3's credential chain and never appear in messages, folders or results.
"""
