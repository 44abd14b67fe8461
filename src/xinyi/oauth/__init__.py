"""The authorization server: FAPI 2.0 with pushed requests, private_key_jwt and DPoP; one module per specification."""
