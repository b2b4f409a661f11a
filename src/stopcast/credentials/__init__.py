"""The account's key: the value, the places where people keep it, and the vendor's logins that issue it."""
