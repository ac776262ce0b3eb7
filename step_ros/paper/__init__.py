"""The STEP paper's tables and figures: what it printed, and what comes out here."""
