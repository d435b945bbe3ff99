"""What each kind of question is answered with: one function an intent, from the report's evidence alone."""
