"""All that is written about a video: JSON, one HTML page, subtitles and tables."""
