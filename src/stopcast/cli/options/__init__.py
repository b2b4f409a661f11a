"""The options of the commands, and the values they become."""
