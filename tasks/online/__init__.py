"""What people did with the lists that they were shown."""
