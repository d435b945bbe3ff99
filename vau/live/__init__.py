"""Streams watched as they come: events are told as they close, in bounded memory, with gaps told and never bridged."""
