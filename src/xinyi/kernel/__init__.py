"""Words that every room shares: time, ids, text, canonical JSON and errors. Imports nothing of ours."""
