"""Getting environments in and out."""
