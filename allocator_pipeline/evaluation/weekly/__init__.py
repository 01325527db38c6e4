"""The weekly report: one page for a week, all allocators and baselines side by side."""
