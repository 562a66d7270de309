"""The trace-coverage audit of an AWS account.

``calls`` and ``retrieval`` call read operations of AWS; ``folder`` saves and loads their answers.  ``functions``,
``containers``, ``clusters``, ``kubernetes``, ``gateways``, ``graph``, ``losses``, ``settings`` and ``changes`` extract
facts into one ``service_record`` per service.  ``tree`` decides, ``messages`` and ``findings`` render the results;
``coverage`` is the entry point.
"""
