"""The operator's acts: what was done by command, when, by whom and why. Written in the transaction of what they did."""
