"""What ``doctor`` looks at: one module for each kind of thing that has to be there."""
