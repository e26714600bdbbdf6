"""The Delta tables: what they are (`catalog`, `folds`) and the only code that writes them (`write`)."""
