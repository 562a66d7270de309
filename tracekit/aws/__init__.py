"""The only room that talks to AWS, through boto3, which is imported when the first call is made.

``client`` makes one call and retries it.  ``pull`` brings traces into a folder, so that a stopped pull goes on where it
was; ``trace_summaries`` and ``annotation_lint`` look at what was pulled.  ``audit`` runs the coverage playbook, reading
only.  ``rules`` reads sampling rules and tells what is wrong with them; ``tracer`` reads the tables of a tracer of
one's own; ``publish`` gives findings to CloudWatch.

Credentials come from boto3's own chain and go nowhere: not into messages, folders or results.
"""
