"""How good the labels are: metrics of clips and of live streams, and the pictures that show it."""
