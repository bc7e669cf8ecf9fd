"""What a book of loans will lose: expected loss, loss distribution, stress, pricing."""
