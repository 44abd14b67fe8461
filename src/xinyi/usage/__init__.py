"""Usage: how many checks each partner made, in which scenario and on which day, and what that costs if it costs."""
