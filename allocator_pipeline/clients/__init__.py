"""Services of others, read over the network by clients that are refused everything else."""
