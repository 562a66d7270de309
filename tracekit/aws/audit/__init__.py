"""The coverage playbook, executed.

``calls`` asks AWS, reading only; ``folder`` keeps the answers; ``sheet`` lays them out, a service at a time, with what
``functions``, ``containers``, ``clusters``, ``kubernetes``, ``gateways``, ``graph``, ``settings`` and ``changes`` make
of them; ``tree`` decides, ``words`` says it, ``findings`` hands it to the reader; ``audit`` puts them together.
"""
