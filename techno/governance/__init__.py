"""The vocabulary of a governed request: pure values, no framework, no input or output."""
