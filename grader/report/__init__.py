"""What people look at: results, annotated scans, the run report."""
