"""Walk-forward forecasters of the weekly return."""
