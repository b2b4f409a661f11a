"""A key and its secret, and the places where people keep them."""
