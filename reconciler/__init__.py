"""GitOps reconciler for outbound campaign schedules on NICE CXone."""
