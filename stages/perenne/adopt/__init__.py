"""From files to a case: what a file holds is guessed, said, and written down for people to correct."""
