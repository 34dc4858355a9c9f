"""First screen of the report: the answer on each task, what to distrust, and every row at a glance."""
