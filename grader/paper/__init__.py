"""Print an exam's answer sheets and write the matching form."""
