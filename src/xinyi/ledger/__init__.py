"""The append-only Merkle log of every check and consent change: checkpoints, receipts, proofs and the verifier."""
