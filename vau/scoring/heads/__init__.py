"""Trainable score heads: plain torch modules, one file a published model; nothing here trains or reads files."""
