"""The only room that talks to AWS, through boto3, which is imported when the first call is made.

``client`` makes one call and retries it; ``windows`` and ``trace_ids`` say what to ask for; ``summaries``, ``batches``,
``retrieval`` and ``insights`` each know one way to ask; ``folder`` keeps what comes, so that a stopped pull goes on
where it was; ``pull`` puts them together.  ``trace_summaries`` and ``annotation_lint`` look at what was pulled.

Credentials come from boto3's own chain and go nowhere: not into messages, folders or results.
"""
