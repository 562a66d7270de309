"""The only room that talks to AWS, through boto3, which is imported when the first call is made.

``client`` makes one call and retries it; ``windows`` and ``trace_ids`` say what to ask for; ``summaries``, ``batches``,
``retrieval`` and ``insights`` each know one way to ask; ``folder`` keeps what comes, so that a stopped pull goes on
where it was; ``pull`` puts them together.  ``trace_summaries`` and ``annotation_lint`` look at what was pulled.

``audit`` runs the coverage playbook: ``audit_calls`` asks, reading only, ``audit_folder`` keeps the answers,
``audit_sheet`` lays them out, ``audit_tree`` decides, ``audit_words`` says it.  ``rules`` reads sampling rules and
tells what is wrong with them; ``tracer_tables`` reads the tables of a tracer of one's own; ``publish`` gives findings
to CloudWatch.

Credentials come from boto3's own chain and go nowhere: not into messages, folders or results.
"""
