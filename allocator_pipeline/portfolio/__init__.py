"""The portfolio environment: constraints, costs, rewards, state and steps."""
