"""What the resources do, one flow per operation. The clients only run them."""
