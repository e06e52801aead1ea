"""What people say of answers, and the datasets made of it."""
