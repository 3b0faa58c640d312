"""What is watched once a model is out: the rows that come in, and what it says of them."""
