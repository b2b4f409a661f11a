"""What the commands that make calls share: one run as a value, and the parts that it is executed with."""
