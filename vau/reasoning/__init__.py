"""Reasoning: evidence graph, accounts and answers; every sentence tied to its evidence."""
