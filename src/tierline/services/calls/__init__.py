"""One attempt's calls to models: admitted, booked, sent, settled; and the answer they give."""
