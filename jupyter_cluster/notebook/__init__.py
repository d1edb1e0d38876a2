"""What the notebook shows; nothing is imported before it is needed."""
