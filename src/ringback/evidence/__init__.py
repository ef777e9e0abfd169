"""Many networks: pure folds on cells, recomputed from the store and never saved."""
