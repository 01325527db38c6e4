"""Learning algorithms on tensors: many small networks trained side by side, on a CPU thread or a GPU."""
