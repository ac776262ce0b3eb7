"""What was said about a recording, whoever said it: made, judged and kept."""
