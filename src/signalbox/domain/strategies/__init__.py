"""The decision rules, one module per strategy. Pure: inputs in, verdict out."""
