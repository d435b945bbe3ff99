"""Language models that see: one small interface and its backends; nothing outside this room talks to a model."""
