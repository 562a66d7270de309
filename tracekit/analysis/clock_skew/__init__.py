"""Clock skew between hosts: offsets derived from calls, and corrected spans."""
