"""What an update costs on this machine: ours, what one would write instead, and what the hardware allows."""
