"""From labelled videos to heads: the token store, windows drawn from it, and fitting."""
