"""What people are interested in: a vocabulary of interests over the items, and who has which."""
